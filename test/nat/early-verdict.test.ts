import { describe, expect, test } from 'vitest';
import type { NatReport } from '../../src/nat/report.ts';
import { verdictOf } from '../../src/nat/report.ts';
import { planPunch } from '../../src/punch/strategy.ts';
import { DiscoveryWorld } from '../support/discovery-world.ts';
import { forSeeds } from '../support/seeds.ts';
import { coneVerdict } from '../support/verdict.ts';
import type { NatOptions } from '../support/virtual-nat.ts';

const DEPENDENT = 'address-and-port-dependent';
const SEQUENTIAL = { mapping: DEPENDENT, allocation: { pattern: 'sequential', step: 3 } } as const;

interface Kind {
  readonly nat: Partial<NatOptions> | undefined;
  readonly carrier?: boolean;
  readonly ttl: number | null;
  /** Milliseconds at 20 ms one way. */
  readonly within: number;
}

const KINDS: Readonly<Record<string, Kind>> = {
  'full cone': { nat: { filtering: 'endpoint-independent' }, ttl: null, within: 85 },
  'restricted cone': { nat: { filtering: 'address-dependent' }, ttl: 2, within: 150 },
  'port-restricted cone': { nat: {}, ttl: 2, within: 150 },
  'poisonable cone': { nat: { poisonable: true }, ttl: 2, within: 150 },
  'cone behind a carrier’s': { nat: {}, carrier: true, ttl: 3, within: 150 },
  sequential: { nat: SEQUENTIAL, ttl: 2, within: 150 },
  'sequential, address-dependent': {
    nat: { ...SEQUENTIAL, mapping: 'address-dependent' },
    ttl: null,
    within: 50,
  },
  'sequential with gaps': {
    nat: { ...SEQUENTIAL, allocation: { pattern: 'sequential', step: 1, jitter: [1, 1, 1, 2, 3, 4] } },
    ttl: 2,
    within: 150,
  },
  'sequential behind a carrier’s': { nat: SEQUENTIAL, carrier: true, ttl: 3, within: 200 },
  block: {
    nat: { mapping: DEPENDENT, allocation: { pattern: 'block', first: 20_480, size: 512 } },
    ttl: null,
    within: 50,
  },
  random: { nat: { mapping: DEPENDENT, allocation: { pattern: 'random' } }, ttl: null, within: 50 },
  'random after one port that is kept': {
    nat: { mapping: DEPENDENT, allocation: { pattern: 'preserving' } },
    ttl: null,
    within: 210,
  },
  'no NAT': { nat: undefined, ttl: null, within: 85 },
};
const kinds = Object.entries(KINDS);

/** What punching goes by, of what stays the same from then on. */
function lasting(report: NatReport | undefined) {
  const { mapping, mapping_confidence, allocation, arming_ttl, cgnat, public_address } = report ?? {};
  return { mapping, mapping_confidence, allocation, arming_ttl, cgnat, public_address };
}

const planOf = (report: NatReport, peer = coneVerdict) =>
  planPunch(
    { verdict: verdictOf(report), lan: true, vouched: true },
    { verdict: peer, lan: true, vouched: true },
    false,
  );

describe.each(kinds)('%s', (_, { nat, carrier, ttl, within }) => {
  const worldOf = (seed: number) => new DiscoveryWorld(seed, nat, {}, carrier);

  test('is known early, and what punching goes by is right', () => {
    forSeeds(10, (_random, seed) => {
      const { early, report, main, elapsed } = worldOf(seed).discover();
      expect(early?.elapsed).toBeLessThanOrEqual(within);
      expect(elapsed).toBeGreaterThan(early?.elapsed ?? elapsed);
      expect(early?.report.arming_ttl).toBe(ttl);
      expect(lasting(early?.report)).toEqual(lasting(report));
      expect(early?.main).toBe(main);
      expect(early && planOf(early.report)).toEqual(planOf(report));
    });
  });

  test('takes no longer than it needs to, however far the server is', () => {
    for (const latency of [1, 50, 100]) {
      const world = worldOf(1);
      world.internet.latencyMs = latency;
      const { early, report } = world.discover();
      const longer = Math.max(latency / 20, 1);
      expect(early?.elapsed).toBeLessThanOrEqual(within * longer);
      expect(early?.report.arming_ttl).toBe(ttl);
      expect(lasting(early?.report)).toEqual(lasting(report));
    }
  });

  test('is what it is, with a twentieth of all packets lost each way', () => {
    const runs = 100;
    let right = 0;
    let soon = 0;
    forSeeds(runs, (_random, seed) => {
      const world = worldOf(seed);
      world.internet.lossPercent = 5;
      const { early, report } = world.discover();
      if (early && early.report.arming_ttl === ttl && report.arming_ttl === ttl) right++;
      if (early && early.elapsed <= within + 200) soon++;
    });
    // Where nothing is filtered, what proves it may be lost, and any TTL will do.
    expect(right).toBeGreaterThanOrEqual(ttl === null ? 85 : 99);
    expect(soon).toBeGreaterThanOrEqual(75);
  });

  test('is not mistaken for a carrier’s where packets take their time, and change places', () => {
    let right = 0;
    forSeeds(50, (_random, seed) => {
      const world = worldOf(seed);
      world.internet.jitterMs = 30;
      if (world.discover().early?.report.arming_ttl === ttl) right++;
    });
    expect(right).toBeGreaterThanOrEqual(49);
  });
});

test('a neighbour who takes ports in between is not mistaken for packets that have passed', () => {
  let right = 0;
  forSeeds(100, (random, seed) => {
    const world = new DiscoveryWorld(seed, SEQUENTIAL, {}, true);
    // Now and then, and more at a time than any counter skips.
    world.internet.onPacket = () => {
      if (random.next() < 0.1) world.nat?.behind?.burn(8);
      return undefined;
    };
    if (world.discover().early?.report.arming_ttl === 3) right++;
  });
  expect(right).toBeGreaterThanOrEqual(95);
});

/** All that may turn out to be let in by a NAT of which that is not known yet. */
const FILTERS = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const;

describe('what is let in', () => {
  test.each(FILTERS)('%s: is known early as far as an answer proves it', (filtering) => {
    const { early } = new DiscoveryWorld(1, { filtering }).discover();
    const isProven = filtering !== 'address-and-port-dependent';
    expect(early?.report.filtering).toBe(isProven ? filtering : 'unknown');
  });

  test('is taken to be as little as can be where the answers are lost', () => {
    const world = new DiscoveryWorld(1, { filtering: 'address-dependent' });
    const [{ address } = { address: '' }] = world.server.endpoints;
    const end = world.runtime.now() + 200;
    world.internet.onPacket = ({ from }) => {
      const isAnswerFromElsewhere = from.address === address && from.port === 3479;
      return isAnswerFromElsewhere && world.runtime.now() > 50 && world.runtime.now() < end
        ? 'drop'
        : undefined;
    };
    const { early, report } = world.discover();
    expect(early?.report.filtering).toBe('unknown');
    expect(report.filtering).toBe('address-dependent');
    expect(early && planOf(early.report).steps).toEqual([{ strategies: ['direct'], tries: 1 }]);
  });
});

describe('nothing is told early', () => {
  test.each([
    ['nobody answers', { silent: true }],
    ['answers come too late', { delayMs: 1600 }],
  ])('where %s', (_, manners) => {
    const { early, report } = new DiscoveryWorld(1, {}, manners).discover();
    expect([early, report.mapping]).toEqual([undefined, 'unknown']);
  });

  test('where one answer is not enough, and another may come', () => {
    const world = new DiscoveryWorld(1, {}, { silent: true });
    const single = world.internet.addStunServer({ addresses: ['45.80.20.1'], ports: [3478] });
    const { early, report } = world.discover([single.endpoints, world.server.endpoints]);
    expect([early, report.mapping]).toEqual([undefined, 'unknown']);
  });
});

test('that nothing can be found out is told at once', () => {
  const world = new DiscoveryWorld(1, {});
  const single = world.internet.addStunServer({ addresses: ['45.80.20.1'], ports: [3478] });
  const { early } = world.discover([single.endpoints]);
  expect(early).toMatchObject({ elapsed: 40, report: { mapping: 'unknown', udp_blocked: false } });
});

test('a server with one address tells what it can, at once', () => {
  const world = new DiscoveryWorld(1, {});
  const single = world.internet.addStunServer({ addresses: ['45.80.20.1'], ports: [3478, 3479] });
  const { early } = world.discover([single.endpoints]);
  expect(early?.elapsed).toBeLessThanOrEqual(50);
  expect(early?.report).toMatchObject({
    mapping: 'endpoint-independent',
    filtering: 'unknown',
    arming_ttl: null,
  });
});

test('where the most trusted server is dead, another has to show first how ports are chosen', () => {
  const world = new DiscoveryWorld(1, SEQUENTIAL, { silent: true });
  const other = world.internet.addStunServer({
    addresses: ['45.80.20.1', '45.80.20.2'],
    ports: [3478, 3479],
  });
  const { early } = world.discover([world.server.endpoints, other.endpoints]);
  expect(early?.report).toMatchObject({ allocation: SEQUENTIAL.allocation, arming_ttl: 2 });
  expect(early?.elapsed).toBeLessThanOrEqual(350);
});

describe('IPv6', () => {
  const reached = (ipv6: string | undefined, latencyMs: number, silent = false) => {
    const world = new DiscoveryWorld(1, KINDS.random?.nat, {}, false, ipv6);
    const server = world.internet.addStunServer({ addresses: ['2a0e:90::10'], ports: [3478] }, { silent });
    world.internet.onPacket = ({ to }) =>
      to.address.includes(':') ? { delayMs: latencyMs - 20 } : undefined;
    return world.discover([[...world.server.endpoints, ...server.endpoints]]).early;
  };

  test('is waited for, where there is some', () => {
    const early = reached('2a0e:a2::2', 40);
    expect(early?.report.ipv6).toBe('2a0e:a2::2');
    expect(early?.elapsed).toBeLessThanOrEqual(90);
  });

  test('is not waited for long', () => {
    for (const early of [reached('2a0e:a2::2', 500), reached('2a0e:a2::2', 20, true)]) {
      expect(early?.report.ipv6).toBeNull();
      expect(early?.elapsed).toBeLessThanOrEqual(150);
    }
  });

  test('is not waited for where there is none', () => {
    expect(reached(undefined, 20)?.elapsed).toBeLessThanOrEqual(50);
  });
});
