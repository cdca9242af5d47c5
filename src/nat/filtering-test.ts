import type { Observations } from './observations.ts';
import { type Prober, patienceFor, type Reference } from './prober.ts';

/**
 * Asks for answers from an address and from a port that a fresh socket has never sent to (RFC 5780 section 4.4). An answer
 * proves something at once; that none comes takes as long as three tries.
 */
export function testFiltering(
  prober: Prober,
  reference: Reference,
  settle: (filtering: Observations['filtering']) => void,
): void {
  const { primary: to, otherPort, otherBoth } = reference;
  if (otherPort === undefined || otherBoth === undefined) {
    settle(undefined);
    return;
  }
  const patience = patienceFor(reference);
  prober.open(1, ([socket]) => {
    if (socket === undefined) {
      settle(undefined);
      return;
    }
    const heard: { otherAddress?: boolean; otherPort?: boolean; answered?: boolean } = {};
    const conclude = () => {
      const { otherAddress, otherPort, answered } = heard;
      if (otherAddress === undefined || otherPort === undefined || answered === undefined) return;
      settle(answered ? { otherAddress, otherPort } : undefined);
    };
    // All three at once: a request opens the mapping that the answers come back through.
    prober.ask({ socket, to, patience }, (answer) => {
      heard.answered = answer?.message.class === 'success';
      conclude();
    });
    prober.ask({ socket, to, from: otherBoth, patience }, (answer) => {
      heard.otherAddress = answer?.message.class === 'success';
      conclude();
    });
    prober.ask({ socket, to, from: otherPort, patience }, (answer) => {
      heard.otherPort = answer?.message.class === 'success';
      conclude();
    });
  });
}
