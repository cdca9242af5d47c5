import { expect, test } from 'vitest';
import type { PunchStep } from '../../src/punch/strategy.ts';
import type { Place } from '../support/punch-place.ts';
import { PunchWorld } from '../support/punch-world.ts';
import { forSeeds } from '../support/seeds.ts';
import type { PortAllocation } from '../support/virtual-ports.ts';

const SWEEP: PunchStep = { strategies: ['sweep'], hard: 'publisher', tries: 3 };

const symmetric = (allocation: PortAllocation): Place => ({
  nat: { mapping: 'address-and-port-dependent', poisonable: true, allocation },
});

/** How many of so many pairs found a path on which both hear each other, within the tries that a plan grants. */
function paths(pairs: number, one: PortAllocation, other: PortAllocation, lossPercent = 0): number {
  let found = 0;
  forSeeds(pairs, (_, seed) => {
    const world = new PunchWorld(seed, {
      ...{ subscriber: symmetric(one), publisher: symmetric(other), lossPercent },
    });
    for (let i = 0; i < SWEEP.tries && !world.subscriber.selected; i++) world.step(SWEEP);
    if (world.ends.every(({ selected }) => selected?.strategy === 'sweep') && world.connected()) found++;
    for (const { sent } of world.ends) if (sent > 400) throw new Error(`${sent} packets`);
  });
  return found;
}

const by = (step: number): PortAllocation => ({ pattern: 'sequential', step });
const JITTER = [1, 1, 1, 2, 3, 4] as const;

test.each([
  [1, 1],
  [1, -1],
  [-3, 2],
  [10, 1],
])('two NATs that count by %i and by %i', (one, other) => {
  expect(paths(20, by(one), by(other))).toBeGreaterThanOrEqual(19);
});

test('while packets are lost', () => {
  expect(paths(40, by(1), by(2), 5)).toBeGreaterThanOrEqual(36);
});

const jittered = (step: number): PortAllocation => ({ pattern: 'sequential', step, jitter: JITTER });

test('one of which skips ports', () => {
  expect(paths(40, by(1), jittered(1))).toBeGreaterThanOrEqual(38);
  expect(paths(40, jittered(-3), by(2), 1)).toBeGreaterThanOrEqual(38);
});

test('both of which skip ports', () => {
  expect(paths(60, jittered(1), jittered(1), 1)).toBeGreaterThanOrEqual(54);
  expect(paths(40, jittered(5), jittered(-2))).toBeGreaterThanOrEqual(34);
});
