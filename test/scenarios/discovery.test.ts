import { expect, test } from 'vitest';
import { planPunch } from '../../src/punch/strategy.ts';
import type { Place } from '../support/punch-place.ts';
import { PunchWorld } from '../support/punch-world.ts';
import { forSeeds } from '../support/seeds.ts';

const HOMES: Readonly<Record<string, Place>> = {
  open: {},
  firewalled: { firewall: true },
  'full cone': { nat: { filtering: 'endpoint-independent' } },
  'address-restricted': { nat: { filtering: 'address-dependent' } },
  poisonable: { nat: { poisonable: true } },
  'behind a carrier’s NAT': { nat: {}, carrier: { poisonable: true } },
  sequential: {
    nat: { mapping: 'address-and-port-dependent', allocation: { pattern: 'sequential', step: 2 } },
  },
  block: {
    nat: {
      mapping: 'address-and-port-dependent',
      allocation: { pattern: 'block', first: 20_480, size: 512 },
    },
  },
};
const HARD = ['sequential', 'block'];
const PAIRS = Object.keys(HOMES).flatMap((one) => Object.keys(HOMES).map((other) => [one, other] as const));

/** From nothing to a path: what is measured makes the plan, and the plan is carried out on the socket that was measured. */
test.each(PAIRS)('measured, planned and punched: %s with %s', (one, other) => {
  forSeeds(3, (_, seed) => {
    const [subscriber, publisher] = [HOMES[one] ?? {}, HOMES[other] ?? {}];
    const world = new PunchWorld(seed, { subscriber, publisher, discovers: true });
    const [mine, yours] = world.ends.map(({ verdict }) => ({ verdict, lan: true, vouched: true }));
    if (mine === undefined || yours === undefined) return;
    const { steps, noWay } = planPunch(mine, yours, false);
    if (HARD.includes(one) && HARD.includes(other) && one !== other) {
      expect({ steps, noWay }).toEqual({ steps: [], noWay: 'unpredictable' });
      return;
    }
    for (const step of steps) {
      for (let i = 0; i < step.tries && !world.subscriber.selected; i++) world.step(step);
    }
    const strategies = steps.flatMap((step) => step.strategies);
    for (const end of world.ends) expect(strategies).toContain(end.selected?.strategy);
    expect(world.connected()).toBe(true);
  });
});
