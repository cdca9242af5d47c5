import { existsSync } from 'node:fs';
import { UnderpassError } from '../../errors.ts';
import {
  type ClientConfig,
  exposedSecretFile,
  isHost,
  isTunnelName,
  loadClientConfig,
  MAX_GRACE,
  MAX_UDP_IDLE,
  parseIdentityFingerprint,
  parsePlan,
  parsePorts,
  readSecretFile,
  type TunnelConfig,
} from '../../index.ts';
import type { Context } from '../context.ts';
import type { P2pFlags } from '../flags.ts';
import {
  checkSecret,
  defaultConfigPath,
  environmentOf,
  serverAccess,
  warnOfWeakSecret,
} from '../settings.ts';
import type { View } from '../views/view.ts';
import { runTunnels } from './tunnels.ts';

const LIKE_THIS = 'such as 3f2a-91bc-0d4e-77a1-c2f0';

/** `underpass p2p`: one tunnel, from flags. */
export async function p2p(context: Context, view: View, ports: string, flags: P2pFlags): Promise<number> {
  const tunnel = toTunnel(ports, flags, context, view);
  const file = readFile(flags, tunnel.options.secret, context);
  const access = serverAccess(flags, environmentOf(context), file);
  const network = {
    stun: flags.stun ?? file.stun,
    // These flags can only say no.
    portMapping: flags.portMapping && file.portMapping,
    lanAddresses: flags.lanAddresses && file.lanAddresses,
  };
  return runTunnels({ ...flags, access, network, tunnels: [tunnel], labelled: false }, context, view);
}

function toTunnel(ports: string, flags: P2pFlags, context: Context, view: View): TunnelConfig {
  const { target, localHost, listen: listenHost, mode, proxyProtocol, allow, deny } = flags;
  const name = flags.name ?? target;
  if (name === undefined) throw new UnderpassError('mode_required');
  if (flags.name !== undefined && target !== undefined) throw new UnderpassError('mode_conflict');
  if (!isTunnelName(name)) throw new UnderpassError('name_invalid', { name });
  if (target === undefined) parsePorts(ports);
  else parsePlan(ports);
  for (const [flag, value] of Object.entries({
    'local-host': localHost,
    'proxy-protocol': proxyProtocol,
    allow,
    deny,
  })) {
    refuse(target !== undefined && value !== undefined, `--${flag} goes with --name, not with --target`);
  }
  refuse(target === undefined && listenHost !== undefined, '--listen goes with --target, not with --name');
  for (const key of [...(allow ?? []), ...(deny ?? [])]) {
    refuse(
      parseIdentityFingerprint(key) === undefined,
      `'${key}' is not the fingerprint of a key, ${LIKE_THIS}`,
    );
  }
  const times = {
    grace: parseSeconds('--grace', flags.grace, 0, MAX_GRACE),
    udpIdle: parseSeconds('--udp-idle', flags.udpIdle, 1, MAX_UDP_IDLE),
  };
  for (const address of [localHost, listenHost]) {
    if (address !== undefined && !isHost(address)) throw new UnderpassError('address_invalid', { address });
  }
  const secret = findSecret(flags, context, view);
  warnOfWeakSecret(name, secret, view);
  const common = { secret, ports, mode, ...times };
  return target === undefined
    ? { role: 'publisher', key: name, options: { ...common, name, localHost, proxyProtocol, allow, deny } }
    : { role: 'subscriber', key: name, options: { ...common, target, listenHost } };
}

function parseSeconds(
  flag: string,
  text: string | undefined,
  least: number,
  most: number,
): number | undefined {
  if (text === undefined) return undefined;
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  const fits = seconds >= least && seconds <= most;
  refuse(!fits, `${flag} takes a whole number of seconds from ${least} to ${most}`);
  return seconds;
}

function findSecret(flags: P2pFlags, context: Context, view: View): string {
  if (flags.secret !== undefined || flags.secretFile === undefined) {
    return checkSecret(flags.secret ?? environmentOf(context).secret);
  }
  const { secret, exposed } = readSecretFile(flags.secretFile);
  if (exposed) view.show({ event: 'warning', message: exposedSecretFile(flags.secretFile) });
  return checkSecret(secret);
}

/**
 * The file's server counts where neither a flag nor the environment names one; its token and its trust belong to that
 * server and are not shown to another. With a secret at hand, those of the file's tunnels are left unread.
 */
function readFile(flags: P2pFlags, secret: string, context: Context): Partial<ClientConfig> {
  const file = defaultConfigPath(context);
  const named = flags.server !== undefined || environmentOf(context).server !== undefined;
  return named || !existsSync(file) ? {} : loadClientConfig(file, { secret });
}

function refuse(wrong: boolean, problem: string): void {
  if (wrong) throw new UnderpassError('argument_invalid', { problem });
}
