import { STRATEGIES, type Strategy } from '../../punch/strategies.ts';
import type { PunchStep } from '../../punch/strategy.ts';
import type { FromServer } from '../../signaling/messages.ts';

/** What the server wants tried, and where it has seen the peer. */
export interface Order {
  readonly planned: PunchStep;
  readonly vouched: readonly string[];
}

/** The part of a server's plan that we know: a newer server may know more strategies. Undefined where nothing is left. */
export function knownPart({
  strategies,
  hard,
  tries,
}: FromServer<'p2p_step'>['plan']): PunchStep | undefined {
  const isKnown = (word: string): word is Strategy => STRATEGIES.some((one) => one === word);
  const [first, ...more] = strategies.filter(isKnown);
  return first && { strategies: [first, ...more], tries, ...(hard && { hard }) };
}
