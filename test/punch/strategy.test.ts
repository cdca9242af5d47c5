import { describe, expect, test } from 'vitest';
import type { NatVerdict } from '../../src/nat/behaviour.ts';
import { directPlay, NAT_KINDS, type NatKind, natKind, strategyOf } from '../../src/nat/people.ts';
import { type PunchPlan, type PunchSide, type PunchStep, planPunch } from '../../src/punch/strategy.ts';
import { coneVerdict } from '../support/verdict.ts';

const CONE: NatVerdict = { ...coneVerdict, ipv6: false, hairpin: true };
const symmetric = (pattern: 'sequential' | 'block' | 'random'): Partial<NatVerdict> => ({
  mapping: 'address-and-port-dependent',
  allocation: { pattern, step: pattern === 'sequential' ? 1 : null, range: null },
});
const side = (changes: Partial<NatVerdict> = {}, lan = true, vouched = true): PunchSide => ({
  verdict: { ...CONE, ...changes },
  ...{ lan, vouched },
});

/** Some networks of each kind. */
const NETWORKS: Readonly<Record<NatKind, readonly PunchSide[]>> = {
  open: [
    side({ mapping: 'none', filtering: 'none' }),
    side({ filtering: 'endpoint-independent' }),
    side({ filtering: 'address-dependent' }),
  ],
  cone: [side(), side({ mapping: 'none' }), side({ filtering: 'unknown' }), side({ poisonable: true })],
  sequential: [
    side(symmetric('sequential')),
    side({ ...symmetric('sequential'), mapping: 'address-dependent' }),
  ],
  random: [
    side(symmetric('random')),
    side(symmetric('block')),
    side({ ...symmetric('random'), allocation: null }),
  ],
  blocked: [side({ mapping: 'unknown', udp_blocked: true })],
  unknown: [side({ mapping: 'unknown' })],
};

const one = (strategy: PunchStep['strategies'][0]): PunchStep => ({ strategies: [strategy], tries: 1 });
const [open, direct] = [one('open'), one('direct')];
const bracket = { strategies: ['bracket'], tries: 3 };
const birthday = { strategies: ['birthday'], tries: 2 };
const sweep = { strategies: ['sweep'], tries: 3 };
const [unpredictable, unmeasured, blocked] = ['unpredictable', 'unmeasured', 'udp-blocked'] as const;

/** The table, the easier kind's row; a step's hard side is that of the column. */
const TABLE = {
  //          open  cone    sequential     random         blocked  unknown
  open: [open, open, open, open, blocked, unmeasured],
  cone: [open, direct, bracket, birthday, blocked, unmeasured],
  sequential: [open, bracket, sweep, unpredictable, blocked, unmeasured],
  random: [open, birthday, unpredictable, unpredictable, blocked, unmeasured],
  blocked: [blocked, blocked, blocked, blocked, blocked, blocked],
  unknown: [unmeasured, unmeasured, unmeasured, unmeasured, blocked, unmeasured],
} as const;

const CELLS = NAT_KINDS.flatMap((mine) =>
  NAT_KINDS.map((yours, column) => [mine, yours, TABLE[mine][column]] as const),
);
const HARDNESS: readonly NatKind[] = ['open', 'cone', 'sequential', 'random'];

/** Every pair of networks of two kinds. */
function plansOf(mine: NatKind, yours: NatKind): PunchPlan[] {
  return NETWORKS[mine].flatMap((subscriber) =>
    NETWORKS[yours].map((publisher) => planPunch(subscriber, publisher, false)),
  );
}

test.each(CELLS)('%s with %s', (mine, yours, expected) => {
  for (const { steps, noWay } of plansOf(mine, yours)) {
    if (typeof expected === 'string') expect({ steps, noWay }).toEqual({ steps: [], noWay: expected });
    else expect({ steps, noWay }).toEqual({ steps: [expect.objectContaining(expected)], noWay: null });
    const [step] = steps;
    if (step === undefined || step.tries === 1) expect(step?.hard).toBeUndefined();
    else {
      const harder = HARDNESS.indexOf(mine) > HARDNESS.indexOf(yours) ? 'subscriber' : 'publisher';
      expect(step.hard).toBe(harder);
    }
  }
});

test.each(CELLS)('the roles make no difference: %s with %s', (mine, yours) => {
  const flip = { subscriber: 'publisher', publisher: 'subscriber' } as const;
  for (const subscriber of NETWORKS[mine]) {
    for (const publisher of NETWORKS[yours]) {
      for (const together of [false, true]) {
        const plan = planPunch(subscriber, publisher, together);
        const mirrored = planPunch(publisher, subscriber, together);
        // Of two that count, it is always the publisher's ports that are swept through.
        const flipped = plan.steps.map((step) =>
          step.hard && step.hard !== 'both' && step.strategies[0] !== 'sweep'
            ? { ...step, hard: flip[step.hard] }
            : step,
        );
        expect(mirrored).toEqual({ ...plan, steps: flipped });
      }
    }
  }
});

describe('what people are told is what is tried', () => {
  const WORDS = {
    exchange: ['open', 'direct', 'mapped'],
    prediction: ['bracket'],
    'prediction-both': ['sweep'],
    search: ['birthday'],
    relay: [],
  } as const;

  test.each(CELLS)('%s with %s', (mine, yours) => {
    const words: readonly string[] = WORDS[strategyOf(mine, yours)];
    for (const { steps, noWay } of plansOf(mine, yours)) {
      const tried = steps.flatMap(({ strategies }) => strategies);
      expect(tried.length > 0).toBe(words.length > 0);
      expect(noWay === null).toBe(words.length > 0);
      for (const strategy of tried) expect(words).toContain(strategy);
    }
    for (const { verdict } of NETWORKS[mine]) {
      expect(natKind(verdict)).toBe(mine);
      const relayed = directPlay(verdict, yours) === 'relayed';
      expect(plansOf(mine, yours).every(({ steps }) => (steps.length === 0) === relayed)).toBe(true);
    }
  });
});

describe('ways around the NATs', () => {
  const random = symmetric('random');

  test('a forwarded port is named', () => {
    const plan = planPunch(side({ ...random, port_mapped: true }), side(random), false);
    expect(plan).toEqual({ steps: [one('mapped')], noWay: null });
  });

  test('IPv6 is tried first, and where nothing else is', () => {
    const plan = planPunch(side({ ipv6: true }), side({ ipv6: true }), false);
    expect(plan.steps).toEqual([{ strategies: ['ipv6', 'direct'], tries: 1 }]);
    const hopeless = planPunch(side({ ...random, ipv6: true }), side({ ...random, ipv6: true }), false);
    expect(hopeless).toEqual({ steps: [one('ipv6')], noWay: 'unpredictable' });
    const counted = planPunch(side({ ipv6: true }), side({ ...symmetric('sequential'), ipv6: true }), false);
    expect(counted.steps.map(({ strategies }) => strategies[0])).toEqual(['ipv6', 'bracket']);
    expect(planPunch(side({ ipv6: true }), side(), false).steps).toEqual([direct]);
  });

  test('in one network, that network is tried, whatever the NAT', () => {
    const plan = planPunch(side(), side(), true);
    expect(plan).toEqual({ steps: [{ strategies: ['host', 'hairpin'], tries: 1 }], noWay: null });
    expect(planPunch(side(random), side(random), true).steps).toEqual([one('host')]);
    const offline = side({ mapping: 'unknown', udp_blocked: true });
    expect(planPunch(offline, offline, true)).toEqual({ steps: [one('host')], noWay: 'udp-blocked' });
  });

  test('a NAT that does not lead back is not asked to', () => {
    const plan = planPunch(side({ hairpin: false }), side(), true);
    expect(plan).toEqual({ steps: [one('host')], noWay: 'no-hairpin' });
    const strangers = planPunch(side({ hairpin: false }, false), side(), true);
    expect(strangers).toEqual({ steps: [], noWay: 'no-hairpin' });
    expect(planPunch(side({ hairpin: null }, false), side(), true).steps).toEqual([one('hairpin')]);
  });
});

describe('two blocks of ports', () => {
  const block = (size: number | null) =>
    side({
      mapping: 'address-and-port-dependent',
      allocation: { pattern: 'block', step: null, range: size === null ? null : [20_480, 20_479 + size] },
    });
  const mutual = { strategies: ['birthday'], hard: 'both', tries: 2 };

  test.each([
    [64, 64],
    [512, 512],
    [512, 1024],
    [1024, 64],
  ])('of %i and %i are searched by both', (one, other) => {
    const plan = planPunch(block(one), block(other), false);
    expect(plan).toEqual({ steps: [mutual], noWay: null });
  });

  test.each([
    [2048, 2048],
    [512, null],
  ])('of %j and %j are not', (one, other) => {
    const plan = planPunch(block(one), block(other), false);
    expect(plan).toEqual({ steps: [], noWay: 'unpredictable' });
  });

  test('are searched only where there are two, and not behind one address', () => {
    for (const other of [symmetric('random'), symmetric('sequential')]) {
      expect(planPunch(block(512), side(other), false).noWay).toBe('unpredictable');
    }
    expect(planPunch(block(512), side(), false).steps).toEqual([{ ...birthday, hard: 'subscriber' }]);
    expect(planPunch(block(512), block(512), true).steps).toEqual([one('host')]);
  });
});

test('ports are predicted, and searched for, only where the server has seen both', () => {
  const hard = [side(symmetric('sequential')), side(symmetric('random')), side(symmetric('sequential'))];
  const unseen = (one: PunchSide): PunchSide => ({ ...one, vouched: false });
  for (const [mine, yours] of [
    [side(), hard[0]],
    [side(), hard[1]],
    [hard[0], hard[2]],
  ] as const) {
    if (mine === undefined || yours === undefined) throw new Error('no side');
    expect(planPunch(mine, yours, false).noWay).toBeNull();
    const nothing = { steps: [], noWay: 'unvouched' };
    expect(planPunch(unseen(mine), yours, false)).toEqual(nothing);
    expect(planPunch(mine, unseen(yours), false)).toEqual(nothing);
    const six = (one: PunchSide) => ({ ...unseen(one), verdict: { ...one.verdict, ipv6: true } });
    expect(planPunch(six(mine), six(yours), false)).toEqual({ steps: [one('ipv6')], noWay: 'unvouched' });
  }
  expect(planPunch(unseen(side()), unseen(side()), false)).toEqual({ steps: [one('direct')], noWay: null });
});
