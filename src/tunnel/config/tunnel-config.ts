import { z } from 'zod';
import { catalogue, UnderpassError } from '../../errors.ts';
import { PROTOCOLS } from '../../signaling/offered-ports.ts';
import { MAX_FINGERPRINTS } from '../admission.ts';
import type { PublishOptions, SubscribeOptions } from '../api.ts';
import { earlyPorts, parsePlan } from '../local/local-plan.ts';
import {
  MAX_BUFFERS,
  MAX_GRACE,
  MAX_UDP_IDLE,
  MIN_BUFFERS,
  publishSettings,
  subscribeSettings,
} from '../options.ts';
import * as is from './schema.ts';

/** One entry of `tunnels`; `key` is what the file calls it. */
export type TunnelConfig =
  | { readonly role: 'publisher'; readonly key: string; readonly options: PublishOptions }
  | { readonly role: 'subscriber'; readonly key: string; readonly options: SubscribeOptions };

const entrySchema = z.strictObject({
  proto: z.literal('p2p'),
  local_port: is.port({ zero: true }).optional(),
  protocol: z.enum(PROTOCOLS).optional(),
  ports: is.ports.optional(),
  local_host: is.host.optional(),
  listen: is.host.optional(),
  p2p_name: is.name.optional(),
  p2p_target: is.name.optional(),
  p2p_secret: is.secret.optional(),
  p2p_secret_file: is.path.optional(),
  mode: z.enum(is.LINK_MODES).optional(),
  proxy_protocol: z.literal('v2').optional(),
  allow: z.array(is.identity).min(1).max(MAX_FINGERPRINTS).optional(),
  deny: z.array(is.identity).max(MAX_FINGERPRINTS).optional(),
  grace: is.wholeNumber(0, MAX_GRACE).optional(),
  udp_idle: is.wholeNumber(1, MAX_UDP_IDLE).optional(),
  buffers: is.wholeNumber(MIN_BUFFERS, MAX_BUFFERS).optional(),
});

export type TunnelEntry = z.infer<typeof entrySchema>;
type Key = keyof TunnelEntry;

const FOR_PUBLISHERS = ['local_host', 'proxy_protocol', 'allow', 'deny'] as const satisfies readonly Key[];

export const tunnelSchema = entrySchema.superRefine((tunnel, context) => {
  const complain = (message: string, path: Key[] = []) => context.addIssue({ code: 'custom', path, message });
  const refuse = (key: Key, message: string) => {
    if (tunnel[key] !== undefined) complain(message, [key]);
  };
  const publishes = tunnel.p2p_name !== undefined;
  if (!publishes && tunnel.p2p_target === undefined) {
    complain('needs p2p_name to publish, or p2p_target to connect');
  } else if (publishes) {
    refuse('p2p_target', 'cannot be used together with p2p_name');
    refuse('listen', 'is for tunnels with p2p_target');
    if (tunnel.local_port === 0) refuse('local_port', 'must be the port of the service');
  } else {
    for (const key of FOR_PUBLISHERS) refuse(key, 'is for tunnels with p2p_name');
  }
  if (tunnel.p2p_secret !== undefined) refuse('p2p_secret_file', 'cannot be used together with p2p_secret');
  if (tunnel.ports === undefined) {
    if (tunnel.local_port === undefined) complain('needs local_port or ports');
    return;
  }
  refuse('local_port', 'cannot be used together with ports');
  refuse('protocol', 'goes with local_port; ports have theirs behind a slash');
  const problem = problemOf(tunnel);
  if (problem !== undefined) complain(problem, ['ports']);
});

/** What an entry says, for the library. Its secret may have come from elsewhere. */
export function toTunnel(key: string, entry: TunnelEntry, secret: string): TunnelConfig {
  return entry.p2p_name === undefined
    ? { role: 'subscriber', key, options: subscribeOptions(entry, secret) }
    : { role: 'publisher', key, options: publishOptions(entry, secret) };
}

/** Names and ports that no other tunnel of the file can have, and the key that asks for each. */
export function claimsOf(entry: TunnelEntry): readonly { claim: string; at: Key }[] {
  const { p2p_name: name, ports, local_port: port = 0, protocol, listen = '127.0.0.1' } = entry;
  if (name !== undefined) return [{ claim: `name ${name}`, at: 'p2p_name' }];
  const at = ports === undefined ? 'local_port' : 'ports';
  const early = earlyPorts(parsePlan(planOf(ports) ?? port, protocol));
  return early
    .filter(({ local }) => local !== 0)
    .map(({ transport, local }) => ({ claim: `port ${listen}:${local}/${transport}`, at }));
}

function publishOptions(entry: TunnelEntry, secret: string): PublishOptions {
  return {
    ...commonOptions(entry, secret),
    // The schema has seen to it that it is there.
    name: entry.p2p_name ?? '',
    localHost: entry.local_host,
    ports: entry.ports,
    proxyProtocol: entry.proxy_protocol,
    allow: entry.allow,
    deny: entry.deny,
  };
}

function subscribeOptions(entry: TunnelEntry, secret: string): SubscribeOptions {
  return {
    ...commonOptions(entry, secret),
    target: entry.p2p_target ?? '',
    listenHost: entry.listen,
    ports: planOf(entry.ports),
  };
}

function commonOptions(
  { local_port: localPort, protocol, mode, grace, udp_idle: udpIdle, buffers }: TunnelEntry,
  secret: string,
) {
  return { secret, localPort, protocol, mode, grace, udpIdle, buffers };
}

/** A list makes no plan, and is refused as what it would be with commas. */
function planOf(ports: TunnelEntry['ports']): number | string | undefined {
  return Array.isArray(ports) ? ports.join(',') : ports;
}

/** What is wrong with the ports. No text of the file becomes part of it. */
function problemOf(entry: TunnelEntry): string | undefined {
  try {
    if (entry.p2p_name === undefined) subscribeSettings(subscribeOptions(entry, ''));
    else publishSettings(publishOptions(entry, ''));
    return undefined;
  } catch (error) {
    if (!(error instanceof UnderpassError)) throw error;
    if (error.code !== 'ports_invalid' && error.code !== 'port_invalid') return undefined;
    const problem = String(error.details.problem ?? "'");
    return problem.includes("'") ? catalogue[error.code].hint : problem;
  }
}
