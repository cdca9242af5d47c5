import { sameEndpoint } from '../net/endpoint.ts';
import { type Prober, patienceFor, type Reference } from './prober.ts';
import { mappedAddress } from './stun-address.ts';

/** How long the unasked packet may take beyond one round trip, in milliseconds. */
const SLACK = 80;

/**
 * Lets a packet come in that nobody asked for, and then sends to where it came from. A NAT that gives this another mapping than
 * the one before has noted the packet as a connection of its own: hole punching has to take care not to be the first.
 */
export function testPoisoning(
  prober: Prober,
  reference: Reference,
  settle: (poisonable: boolean | undefined) => void,
): void {
  const { primary, otherBoth: stranger, rtt } = reference;
  if (stranger === undefined) {
    settle(undefined);
    return;
  }
  const patience = patienceFor(reference);
  prober.open(1, ([socket]) => {
    if (socket === undefined) {
      settle(undefined);
      return;
    }
    prober.ask({ socket, to: primary, patience }, (first) => {
      const before = first && mappedAddress(first.message);
      if (before === undefined) {
        settle(undefined);
        return;
      }
      // Asked for twice at least: a lost packet poisons nothing.
      const wait = 100 + rtt + SLACK;
      prober.ask({ socket, to: primary, from: stranger, patience: wait }, () => {});
      prober.after(wait, () =>
        prober.ask({ socket, to: stranger, patience }, (second) => {
          const after = second && mappedAddress(second.message);
          settle(after && !sameEndpoint(before, after));
        }),
      );
    });
  });
}
