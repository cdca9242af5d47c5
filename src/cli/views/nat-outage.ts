import type { NatReport } from '../../index.ts';

/**
 * Why no STUN server was heard. `blocked`: several hosts, none of which answers, so UDP does not get through: a firewall here may
 * drop it in silence, or refuse it in their names. `closed`: the only host refused, so UDP does get through and nobody listens.
 * `silent`: only one was asked, so it may be either. `unasked`: there was nobody to ask.
 */
export type Outage = 'blocked' | 'closed' | 'silent' | 'unasked';

/** Undefined when a server was heard. */
export function outageOf({ servers }: NatReport): Outage | undefined {
  const fared = new Set(servers.map(({ status }) => status));
  if (fared.has('answered') || fared.has('contradicted')) return undefined;
  const asked = servers.filter(({ status }) => status !== 'unreachable');
  const hosts = new Set(asked.map(({ server }) => server.replace(/:\d+$/, '')));
  if (hosts.size === 0) return 'unasked';
  if (hosts.size > 1) return 'blocked';
  return fared.has('refused') ? 'closed' : 'silent';
}
