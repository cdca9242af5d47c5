import type { Endpoint } from '../net/endpoint.ts';
import type { Observations } from './observations.ts';
import { type Prober, patienceFor, type Reference } from './prober.ts';

/**
 * Asks for answers from an address and from a port that a fresh socket has never sent to (RFC 5780 section 4.4). An answer proves
 * something at once, and `learn` is told what is let in at least; that none comes takes as long as three tries.
 */
export function testFiltering(
  prober: Prober,
  reference: Reference,
  learn: (filtering: Observations['filtering']) => void,
  settle: () => void,
): void {
  const { primary: to, otherPort, otherBoth } = reference;
  if (otherPort === undefined || otherBoth === undefined) {
    settle();
    return;
  }
  const patience = patienceFor(reference);
  prober.open(1, ([socket]) => {
    if (socket === undefined) {
      settle();
      return;
    }
    // All at once: the first, to be answered as usual, opens the mapping that the other answers come back through.
    const questions = [undefined, otherBoth, otherPort];
    const heard = new Set<Endpoint | undefined>();
    let pending = questions.length;
    for (const from of questions) {
      prober.ask({ socket, to, from, patience }, (answer) => {
        pending--;
        if (answer?.message.class === 'success') heard.add(from);
        const filtering = { otherAddress: heard.has(otherBoth), otherPort: heard.has(otherPort) };
        const isAnswered = pending === 0 && heard.size > 0;
        if (isAnswered || filtering.otherAddress || filtering.otherPort) learn(filtering);
        if (pending === 0) settle();
      });
    }
  });
}
