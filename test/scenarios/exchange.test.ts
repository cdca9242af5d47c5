import { describe, expect, test } from 'vitest';
import type { Place } from '../support/punch-place.ts';
import { PunchWorld, type PunchWorldOptions } from '../support/punch-world.ts';
import { ensure, forSeeds } from '../support/seeds.ts';

const HOMES: Readonly<Record<string, Place>> = {
  open: {},
  firewalled: { firewall: true },
  'full cone': { nat: { filtering: 'endpoint-independent' } },
  'address-restricted': { nat: { filtering: 'address-dependent' } },
  'port-restricted': { nat: {} },
  poisonable: { nat: { poisonable: true } },
  'behind a carrier’s NAT': { nat: {}, carrier: {} },
  'behind a poisonable carrier’s NAT': { nat: {}, carrier: { poisonable: true } },
};
const SYMMETRIC: Place = {
  nat: { mapping: 'address-and-port-dependent', poisonable: true },
};
/** Believes that nothing filters, and so sends nothing ahead. */
const UNARMED = { verdict: { filtering: 'endpoint-independent' } } as const;

/** A path within its time, which both sides use and on which both hear each other. */
function punch(seed: number, options: PunchWorldOptions): PunchWorld {
  const world = new PunchWorld(seed, options).step();
  const [mine, yours] = world.ends.map(({ selected }) => selected);
  ensure(
    mine !== undefined && yours !== undefined,
    `a path, not ${world.ends.map(({ failure }) => failure)}`,
  );
  ensure(world.took <= 2500, `in ${world.took} ms`);
  ensure(mine?.strategy === yours?.strategy, 'one name for it');
  ensure(world.connected(), 'both hear each other');
  return world;
}

/** Neither side has a path. */
function inVain(seed: number, options: PunchWorldOptions): PunchWorld {
  const world = new PunchWorld(seed, options).step();
  for (const end of world.ends) ensure(end.selected === undefined, `no path for the ${end.role}`);
  return world;
}

describe.each(Object.entries(HOMES))('%s', (_, subscriber) => {
  test.each(Object.entries(HOMES))('with %s', (_, publisher) => {
    forSeeds(8, (random, seed) => {
      const lateMs = random.integer(100);
      punch(seed, { subscriber, publisher, lossPercent: 5, jitterMs: 5, lateMs });
    });
  });
});

describe.each(['open', 'full cone', 'address-restricted'])('%s lets in', (name) => {
  test.each(['random', 'preserving'] as const)('a symmetric NAT whose ports are %s', (pattern) => {
    forSeeds(20, (_, seed) => {
      const easy = HOMES[name] ?? {};
      const hard = { nat: { ...SYMMETRIC.nat, allocation: { pattern } } };
      punch(seed, { subscriber: easy, publisher: hard, lossPercent: 5 });
      punch(seed, { subscriber: hard, publisher: easy, lossPercent: 5 });
    });
  });
});

describe('poisonable routers', () => {
  const poisonable: Place = { nat: { poisonable: true } };

  test('need arming when one side begins first', () => {
    forSeeds(10, (_, seed) => {
      const unarmed = { ...poisonable, ...UNARMED };
      inVain(seed, { subscriber: unarmed, publisher: unarmed, lateMs: 60 });
      punch(seed, { subscriber: poisonable, publisher: poisonable, lateMs: 60 });
    });
  });

  test('are poisoned by a TTL that reaches too far', () => {
    const far = { ...poisonable, verdict: { arming_ttl: 8 } };
    inVain(1, { subscriber: far, publisher: poisonable, lateMs: 60 });
  });
});

test('without loss it takes one round trip to find out, and one to agree', () => {
  const world = punch(1, { subscriber: { firewall: true }, publisher: { firewall: true } });
  expect(world.took).toBe(80);
  expect(world.subscriber.selected).toMatchObject({ strategy: 'direct', rtt: 40, socket: 0 });
});

test.each([0, 5, 10, 20])(
  'two homes far from each other need 2.5 round trips at most, %i ms apart',
  (lateMs) => {
    const world = punch(1, { subscriber: { nat: {} }, publisher: { nat: {} }, lateMs });
    // The other one's private address is of the same kind as ours; but the plan does not reckon with that, and nobody waits.
    expect(world.took).toBeLessThanOrEqual(100);
  },
);

test('a better path that the plan reckons with is waited for, for a moment', () => {
  const world = new PunchWorld(1, { subscriber: { nat: {} }, publisher: { nat: {} } });
  expect(world.step({ strategies: ['host', 'direct'], tries: 1 }).took).toBe(160);
});

describe('in one house', () => {
  const NAT: Place = { nat: { hairpin: true } };

  test('the way through the house is taken', () => {
    forSeeds(10, (_, seed) => {
      const options = { subscriber: { nat: {} }, publisher: { nat: {} }, together: true };
      const world = punch(seed, { ...options, lossPercent: 5 });
      expect(world.subscriber.selected).toMatchObject({
        strategy: 'host',
        remote: { address: '192.168.1.3' },
      });
    });
  });

  test('a NAT that leads back serves those who do not see each other', () => {
    forSeeds(10, (_, seed) => {
      const options = { subscriber: NAT, publisher: NAT, together: true, hideHosts: true };
      const world = punch(seed, { ...options, lossPercent: 5 });
      expect(world.subscriber.selected?.strategy).toBe('hairpin');
    });
  });
});

describe('IPv6', () => {
  const SIX: Place = { ...SYMMETRIC, ipv6: true, firewall: true };

  test('passes firewalls where no NAT could be passed', () => {
    forSeeds(20, (random, seed) => {
      const world = punch(seed, {
        subscriber: SIX,
        publisher: SIX,
        lossPercent: 5,
        lateMs: random.integer(100),
      });
      expect(world.subscriber.selected).toMatchObject({ strategy: 'ipv6', socket: 1 });
    });
  });

  test('is preferred to a NAT', () => {
    const both: Place = { nat: {}, ipv6: true, firewall: true };
    forSeeds(10, (_, seed) => {
      expect(punch(seed, { subscriber: both, publisher: both }).publisher.selected?.strategy).toBe('ipv6');
    });
  });
});

test('two symmetric NATs are not passed, and little is sent in vain', () => {
  const world = inVain(1, { subscriber: SYMMETRIC, publisher: SYMMETRIC });
  for (const end of world.ends) {
    expect(end.failure).toBe('unanswered');
    expect(end.sent).toBeLessThanOrEqual(2 * 11);
  }
});

test('who has another secret gets no path, and no answer', () => {
  forSeeds(5, (_, seed) => {
    const world = inVain(seed, { subscriber: {}, publisher: {}, wrongSecret: true });
    for (const end of world.ends) expect(end.sent).toBeLessThanOrEqual(10);
  });
});
