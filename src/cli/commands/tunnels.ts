import type { Tunnel, TunnelConfig } from '../../index.ts';
import type { ClientApi, Context } from '../context.ts';
import { exitCodeOf } from '../exit.ts';
import type { CommonFlags } from '../flags.ts';
import type { NetworkSettings, ServerAccess } from '../settings.ts';
import type { View } from '../views/view.ts';
import { obey, type Published } from './typed.ts';

interface Session extends CommonFlags {
  readonly access: ServerAccess;
  readonly network: NetworkSettings;
  readonly tunnels: readonly TunnelConfig[];
  /** False: the first error ends the program. */
  readonly reconnect: boolean;
  /** Whether each line says which tunnel it is about. */
  readonly labelled: boolean;
}

/** Opens tunnels and stays until they have ended or the program is told to stop. Resolves with the exit code. */
export async function runTunnels(session: Session, context: Context, view: View): Promise<number> {
  const { access, network, reconnect } = session;
  const logger = context.createLogger(session.logLevel ?? 'warn', session.logFormat ?? 'pretty');
  const client = context.createClient({ ...access, ...network, reconnect, logger });
  const published: Published[] = [];
  try {
    const codes = session.tunnels.map((tunnel) => {
      const label = session.labelled ? tunnel.key : undefined;
      const onEvent = view.tunnel({ ...access, tunnel, label, token: access.token !== undefined });
      return open(client, tunnel, onEvent, published);
    });
    const { input } = context;
    const commanded = published.length > 0 && (input.isTerminal || session.json === true);
    if (commanded) input.onLine((line) => obey(line, published, view));
    const ended = reconnect ? Promise.all(codes) : Promise.race(codes).then((code) => [code]);
    const stopped = context.signals.stopped.then(() => [0]);
    const ends = await Promise.race([ended, stopped]);
    return ends.find((code) => code !== 0) ?? 0;
  } finally {
    await client.close();
  }
}

/** Resolves with the exit code of what ended the tunnel, which the tunnel's own events have told. */
async function open(
  client: ClientApi,
  config: TunnelConfig,
  say: ReturnType<View['tunnel']>,
  published: Published[],
): Promise<number> {
  if (config.role === 'subscriber') return exitCode(client.subscribe(config.options, say));
  const tunnel = client.publish(config.options, say);
  published.push({ name: config.options.name, tunnel, say });
  return exitCode(tunnel);
}

async function exitCode({ closed }: Tunnel): Promise<number> {
  const error = await closed;
  return error ? exitCodeOf(error.code) : 0;
}
