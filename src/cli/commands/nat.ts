import { existsSync } from 'node:fs';
import { type ClientConfig, loadClientConfig, type MeasureNatOptions } from '../../index.ts';
import type { Context } from '../context.ts';
import type { NatFlags } from '../flags.ts';
import { defaultConfigPath, environmentOf, serverAccess } from '../settings.ts';
import type { NatQuestion, View } from '../views/view.ts';

/** `underpass nat`: measures the network that this machine is in, and tells what that means. Needs no token. */
export async function nat(context: Context, view: View, flags: NatFlags): Promise<number> {
  const options = findServers(flags, context);
  const logger = context.createLogger(flags.logLevel ?? 'warn', flags.logFormat ?? 'pretty');
  const abort = new AbortController();
  const measured = context.measureNat({ ...options, logger, signal: abort.signal });
  const report = await Promise.race([measured, context.signals.stopped.then(() => undefined)]);
  if (report === undefined) {
    // What the router has granted meanwhile is given back before the program ends.
    abort.abort();
    await Promise.allSettled([measured]);
  } else {
    view.nat(report, options);
  }
  return 0;
}

/**
 * As for a tunnel, but STUN servers alone are enough, and no token is shown to anybody. The default file counts only where nobody
 * has named a server of either kind.
 */
function findServers(flags: NatFlags, context: Context): MeasureNatOptions & NatQuestion {
  const environment = environmentOf(context);
  const file = readFile(flags, context);
  const stun = flags.stun ?? file.stun;
  const portMapping = flags.portMapping && file.portMapping !== false;
  const named = [flags, environment, file].some(({ server }) => server !== undefined);
  if (!named && stun !== undefined) return { stun, portMapping };
  const { server, insecure, serverFingerprint } = serverAccess(flags, environment, file);
  return { server, insecure, serverFingerprint, stun, portMapping };
}

/** No tunnel is opened: a secret in the place of theirs leaves their secret files unread. */
function readFile(flags: NatFlags, context: Context): Partial<ClientConfig> {
  const file = defaultConfigPath(context);
  const named = [flags.stun, flags.server, environmentOf(context).server].some((one) => one !== undefined);
  return named || !existsSync(file) ? {} : loadClientConfig(file, { secret: 'unread' });
}
