import type { NatReport } from '../../index.ts';

/**
 * Why no STUN server was heard. `blocked`: several are silent, so UDP does not get through. `closed`: a machine answered that
 * nobody listens, so UDP does get through. `silent`: only one was asked, so it may be either. `unasked`: there was nobody to ask.
 */
export type Outage = 'blocked' | 'closed' | 'silent' | 'unasked';

/** Undefined when a server was heard. */
export function outageOf({ servers }: NatReport): Outage | undefined {
  const fared = new Set(servers.map(({ status }) => status));
  if (fared.has('answered') || fared.has('contradicted')) return undefined;
  if (fared.has('refused')) return 'closed';
  const silent = servers.filter(({ status }) => status === 'silent');
  const hosts = new Set(silent.map(({ server }) => server.replace(/:\d+$/, '')));
  if (hosts.size > 1) return 'blocked';
  return hosts.size === 1 ? 'silent' : 'unasked';
}
