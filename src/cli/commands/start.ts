import { resolve } from 'node:path';
import { UnderpassError } from '../../errors.ts';
import { loadClientConfig } from '../../index.ts';
import type { Context } from '../context.ts';
import type { StartFlags } from '../flags.ts';
import {
  checkSecret,
  defaultConfigPath,
  environmentOf,
  serverAccess,
  warnOfWeakSecret,
} from '../settings.ts';
import type { View } from '../views/view.ts';
import { runTunnels } from './tunnels.ts';

/** `underpass start`: every tunnel of a file, in one process and over one connection to the server. */
export async function start(context: Context, view: View, flags: StartFlags): Promise<number> {
  const file = flags.config === undefined ? defaultConfigPath(context) : resolve(flags.config);
  const environment = environmentOf(context);
  const { secret } = environment;
  const config = loadClientConfig(file, { secret: secret === undefined ? undefined : checkSecret(secret) });
  const { tunnels, warnings } = config;
  if (tunnels.length === 0) {
    throw new UnderpassError('config_invalid', { file, line: 1, key: 'tunnels', problem: 'names no tunnel' });
  }
  for (const message of warnings) view.show({ event: 'warning', message });
  for (const { key, options } of tunnels) warnOfWeakSecret(key, options.secret, view);
  const access = serverAccess(environment, config);
  const { stun, portMapping, lanAddresses } = config;
  const network = { stun, portMapping, lanAddresses };
  return runTunnels({ ...flags, access, network, tunnels, labelled: tunnels.length > 1 }, context, view);
}
