import { STRATEGIES, type Strategy } from '../punch/strategies.ts';
import type { PunchStep } from '../punch/strategy.ts';
import type { FromServer } from '../signaling/messages.ts';

/** What the server wants tried, and where it has seen the peer. */
export interface PunchOrder {
  readonly planned: PunchStep;
  readonly vouched: readonly string[];
}

/** A newer server may know strategies that we do not. Undefined where nothing is left. */
export function orderOf({ plan, vouched = [] }: FromServer<'p2p_step'>): PunchOrder | undefined {
  const { strategies, hard, tries } = plan;
  const isKnown = (word: string): word is Strategy => STRATEGIES.some((one) => one === word);
  const [first, ...more] = strategies.filter(isKnown);
  return first && { planned: { strategies: [first, ...more], tries, ...(hard && { hard }) }, vouched };
}
