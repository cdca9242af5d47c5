import type { LocalAddress } from '../net/interfaces.ts';
import { scopeOf } from '../net/ip.ts';

/** Each takes a socket for every port. Few machines have more, and those that do can name the ones that matter. */
const MOST = 64;

/**
 * Where to listen to be heard on every address of a machine. One by one: from a wildcard the system chooses what an answer comes
 * from, and one that does not come from where it was asked is dropped. IPv6 only where there is some: `::` cannot be bound else.
 */
export function listenAddresses(interfaces: readonly LocalAddress[]): readonly string[] {
  const ofFamily = (wanted: 4 | 6) => interfaces.filter(({ family }) => family === wanted);
  const [ipv4, ipv6] = [ofFamily(4), ofFamily(6)];
  return [...eachOr('0.0.0.0', ipv4), ...(ipv6.length === 0 ? [] : eachOr('::', ipv6))];
}

/** The wildcard where they are too many, and where one at most is there yet: a server may start before its network does. */
function eachOr(wildcard: string, interfaces: readonly LocalAddress[]): readonly string[] {
  const addresses = new Set(interfaces.map(({ address }) => address));
  const usable = [...addresses].filter((address) => scopeOf(address) !== 'link-local');
  return usable.length < 2 || usable.length > MOST ? [wildcard] : usable;
}
