import { type Endpoint, familyOf, sameEndpoint } from '../net/endpoint.ts';
import { scopeOf } from '../net/ip.ts';
import type { Pair } from './pair.ts';
import type { Strategy } from './strategies.ts';

/** What kind of path it is, the best first: inside one network; IPv6, which no NAT can forget; anything else. */
export function rankOf({ remote }: Pair): number {
  if (isLocal(remote.address)) return 0;
  return familyOf(remote) === 6 ? 1 : 2;
}

/** The pair to use of those that are valid: the best rank, then the shortest round trip. */
export function preferredOf(pairs: readonly Pair[]): Pair | undefined {
  return pairs
    .filter((pair) => pair.valid)
    .sort((one, other) => rankOf(one) - rankOf(other) || (one.rtt ?? 0) - (other.rtt ?? 0))[0];
}

/** What a pair that simply answered is called. `mapped`: our own endpoint that a router forwards; `open`: the plan's word for it. */
export function strategyOfPair(
  { remote, seen }: Pair,
  { mapped, open }: { readonly mapped: Endpoint | undefined; readonly open: boolean },
): Strategy {
  if (isLocal(remote.address)) return 'host';
  if (familyOf(remote) === 6) return 'ipv6';
  if (seen?.address === remote.address) return 'hairpin';
  if (remote.kind === 'mapped' || (seen && mapped && sameEndpoint(seen, mapped))) return 'mapped';
  return open ? 'open' : 'direct';
}

function isLocal(address: string): boolean {
  return scopeOf(address) !== 'global';
}
