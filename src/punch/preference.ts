import { type Endpoint, familyOf, sameEndpoint } from '../net/endpoint.ts';
import { scopeOf } from '../net/ip.ts';
import type { Pair } from './pair.ts';
import type { Strategy } from './strategies.ts';

/** What paths of the better ranks are called. */
const RANKS: readonly Strategy[] = ['host', 'ipv6'];

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

/** A path of the same kind has to be shorter by so much, in milliseconds and as a part of the one in use, that it is worth moving to. */
const GAIN = 10;
const PART = 1 / 3;

/** One packet that came through is not enough to leave a path that works. */
const ANSWERS = 2;

/** Whether a pair is so much better than the one in use that it pays to move. */
export function isWorthMoving(used: Pair, other: Pair): boolean {
  if (other.answers < ANSWERS) return false;
  if (rankOf(other) !== rankOf(used)) return rankOf(other) < rankOf(used);
  const [now = 0, then = Number.POSITIVE_INFINITY] = [used.rtt, other.rtt];
  return now - then >= Math.max(GAIN, now * PART);
}

/** Whether a plan reckons with a path of this kind, so that it is worth waiting for. */
export function isExpected(pair: Pair, strategies: readonly Strategy[]): boolean {
  const name = RANKS[rankOf(pair)];
  return name !== undefined && strategies.includes(name);
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
