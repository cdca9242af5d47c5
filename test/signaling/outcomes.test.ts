import { expect, test } from 'vitest';
import { Outcomes } from '../../src/signaling/outcomes.ts';
import type { PunchPlan } from '../../src/signaling/punch-plan.ts';

const HOUR = 3_600_000;
const [exchange, sweep, birthday] = [
  { strategies: ['ipv6'], tries: 1 },
  { strategies: ['sweep'], hard: 'publisher', tries: 3 },
  { strategies: ['birthday'], hard: 'both', tries: 2 },
] as const;
const PLAN: PunchPlan = { steps: [exchange, sweep, birthday], noWay: null };
const [ONE, OTHER] = ['192.0.2.1', '192.0.2.2'];
const PAIR = [ONE, OTHER];

test('what nothing is known of is tried as planned', () => {
  expect(new Outcomes().adapt(PAIR, PLAN, 0)).toBe(PLAN);
});

test('what was in vain is left out for an hour, if it is a burden', () => {
  const outcomes = new Outcomes();
  outcomes.remember(PAIR, PLAN, undefined, 0);
  expect(outcomes.adapt(PAIR, PLAN, HOUR - 1)).toEqual({ steps: [exchange], noWay: null });
  expect(outcomes.adapt(PAIR, PLAN, HOUR)).toBe(PLAN);
});

test('what worked comes first for an hour', () => {
  const outcomes = new Outcomes();
  outcomes.remember(PAIR, PLAN, birthday, 0);
  expect(outcomes.adapt(PAIR, PLAN, HOUR - 1).steps).toEqual([birthday, exchange, sweep]);
  expect(outcomes.adapt(PAIR, PLAN, HOUR)).toBe(PLAN);
});

test('the latest outcome counts', () => {
  const outcomes = new Outcomes();
  outcomes.remember(PAIR, PLAN, undefined, 0);
  outcomes.remember(PAIR, PLAN, sweep, 1);
  expect(outcomes.adapt(PAIR, PLAN, 2).steps).toEqual([sweep, exchange, birthday]);
  outcomes.remember(PAIR, PLAN, undefined, 3);
  expect(outcomes.adapt(PAIR, PLAN, 4).steps).toEqual([exchange]);
});

test('whichever of them publishes, it is the same pair of networks', () => {
  const outcomes = new Outcomes();
  outcomes.remember(PAIR, PLAN, undefined, 0);
  const mirrored: PunchPlan = {
    ...PLAN,
    steps: PLAN.steps.map((step) => (step === sweep ? { ...sweep, hard: 'subscriber' } : step)),
  };
  expect(outcomes.adapt([OTHER, ONE], mirrored, 1).steps).toEqual([exchange]);
});

test('other networks, and NATs that have become others, are nothing known', () => {
  const outcomes = new Outcomes();
  outcomes.remember(PAIR, PLAN, undefined, 0);
  expect(outcomes.adapt([ONE, '192.0.2.3'], PLAN, 1)).toBe(PLAN);
  const other: PunchPlan = { steps: [sweep], noWay: null };
  expect(outcomes.adapt(PAIR, other, 1)).toBe(other);
});

test('4,096 are remembered, the latest', () => {
  const outcomes = new Outcomes();
  for (let i = 0; i < 5000; i++) outcomes.remember([ONE, `${i}`], PLAN, undefined, 0);
  expect(outcomes.size).toBe(4096);
  expect(outcomes.adapt([ONE, '0'], PLAN, 1)).toBe(PLAN);
  expect(outcomes.adapt([ONE, '4999'], PLAN, 1).steps).toHaveLength(1);
});
