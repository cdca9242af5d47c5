import type { Endpoint } from '../net/endpoint.ts';
import { scopeOf } from '../net/ip.ts';
import type { Discovery } from './discovery.ts';
import type { Findings } from './report.ts';

/** What a discovery has found by now. `elapsed` is in milliseconds. */
export function findingsOf(
  discovery: Discovery,
  servers: readonly { readonly name: string; readonly endpoints: readonly Endpoint[] }[],
  localAddress: string | undefined,
  elapsed: number,
): Findings {
  const { verdict, mappedAfter, ipv6 = null, claim } = discovery;
  const { reflexive } = verdict;
  const isPublic = reflexive !== undefined && scopeOf(reflexive.address) === 'global';
  return {
    ...verdict,
    claim,
    public_address: isPublic ? reflexive.address : null,
    local_address: localAddress ?? null,
    ipv6,
    servers: discovery.servers.map((server, index) => {
      const { name = '', endpoints = [] } = servers[index] ?? {};
      const rtt_ms = server.rtt_ms === null ? null : Math.round(server.rtt_ms * 10) / 10;
      const status = endpoints.length === 0 ? 'unreachable' : server.status;
      return { server: name, status, rtt_ms };
    }),
    mapping_ms: mappedAfter === undefined ? null : Math.round(mappedAfter),
    elapsed_ms: Math.round(elapsed),
  };
}
