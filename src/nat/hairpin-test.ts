import { type Endpoint, LOWEST_PORT } from '../net/endpoint.ts';
import { scopeOf } from '../net/ip.ts';
import { type Prober, type ProbeSocket, patienceFor, type Reference } from './prober.ts';
import { mappedAddress } from './stun-address.ts';

/** When two sockets call each other at their public addresses, and how long they listen, in milliseconds. */
const CALLS = [0, 60, 160] as const;
const LISTEN = 300;

/**
 * Two sockets of ours send to each other's public address (RFC 4787 section 6): does anything arrive? Only at `reflexive`'s
 * address, which the servers agree on: any of them could aim us at somebody else.
 */
export function testHairpin(
  prober: Prober,
  reference: Reference,
  reflexive: Endpoint | undefined,
  settle: (hairpin: boolean | undefined) => void,
): void {
  const { primary: to } = reference;
  const patience = patienceFor(reference);
  prober.open(2, ([one, other]) => {
    if (one === undefined || other === undefined) return settle(undefined);
    prober.ask({ socket: one, to, patience }, (first) =>
      prober.ask({ socket: other, to, patience }, (second) => {
        const [here, there] = [
          first && mappedAddress(first.message),
          second && mappedAddress(second.message),
        ];
        if (!isOurs(here, reflexive) || !isOurs(there, reflexive)) return settle(undefined);
        const calls = new Set<string>();
        let heard = false;
        const call = (from: ProbeSocket, mapping: typeof here) =>
          calls.add(prober.shout(from, mapping).toString('hex'));
        prober.overhear((_, transactionId) => {
          if (heard || !calls.has(transactionId.toString('hex'))) return;
          heard = true;
          settle(true);
        });
        for (const delay of CALLS) {
          prober.after(delay, () => {
            call(one, there);
            call(other, here);
          });
        }
        prober.after(LISTEN, () => {
          if (!heard) settle(false);
        });
      }),
    );
  });
}

function isOurs(mapped: Endpoint | undefined, reflexive: Endpoint | undefined): mapped is Endpoint {
  if (mapped === undefined || mapped.address !== reflexive?.address) return false;
  return mapped.port >= LOWEST_PORT && scopeOf(mapped.address) === 'global';
}
