import { asUnderpassError } from '../../errors.ts';
import { loadServerConfig, type RunningServer } from '../../index.ts';
import type { Logger } from '../../log.ts';
import type { Context } from '../context.ts';
import type { ServerFlags } from '../flags.ts';
import type { View } from '../views/view.ts';

const DRAIN_SECONDS = 10;

/** `underpass server`: runs until told to stop. SIGHUP reads the file again, SIGTERM lets open links end first. */
export async function server(context: Context, view: View, flags: ServerFlags): Promise<number> {
  const config = load(flags);
  const logger = context.createLogger(config.logging.level, config.logging.format);
  let running: RunningServer | undefined;
  // Before the server starts: until somebody listens, SIGHUP ends the program. What it starts with was read just now.
  context.signals.onHangup(() => running && reload(running, flags, logger.scope('config')));
  running = await context.startServer(config, { logger });
  view.show({
    event: 'ready',
    role: 'server',
    listen: running.listen,
    fingerprint: running.fingerprint ?? null,
    stun: running.stun ?? null,
  });
  for (const message of running.warnings) view.show({ event: 'warning', message });
  const reason = await context.signals.stopped;
  if (reason === 'SIGTERM') {
    view.show({ event: 'draining', seconds: DRAIN_SECONDS });
    await running.drain(DRAIN_SECONDS * 1000);
  }
  await running.close();
  view.show({ event: 'closed', role: 'server' });
  return 0;
}

function load({ config, listen, token, direct, stun, logLevel, logFormat }: ServerFlags) {
  const directEnabled = direct ? undefined : false;
  const stunEnabled = stun ? undefined : false;
  return loadServerConfig(config, { listen, tokens: token, directEnabled, stunEnabled, logLevel, logFormat });
}

/** A file that has become wrong changes nothing: the server keeps what it has, and says so. */
function reload(running: RunningServer, flags: ServerFlags, logger: Logger): void {
  try {
    running.reload(load(flags));
    logger.info('read again', { file: flags.config ?? 'none' });
  } catch (thrown) {
    const { code, message } = asUnderpassError(thrown);
    logger.error('the configuration is not usable; the old one stays', { code, problem: message });
  }
}
