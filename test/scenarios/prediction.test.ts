import { describe, expect, test } from 'vitest';
import type { Role } from '../../src/punch/keys.ts';
import type { PunchStep } from '../../src/punch/strategy.ts';
import type { Place } from '../support/punch-place.ts';
import { PunchWorld, type PunchWorldOptions } from '../support/punch-world.ts';
import { forSeeds } from '../support/seeds.ts';
import type { PortAllocation } from '../support/virtual-ports.ts';

const EASY: Readonly<Record<string, Place>> = {
  firewalled: { firewall: true },
  'port-restricted': { nat: {} },
  poisonable: { nat: { poisonable: true } },
};

const step = (strategy: 'bracket' | 'birthday', hard: Role): PunchStep => ({
  strategies: [strategy],
  hard,
  tries: 1,
});

/** How many of so many tries gave a path on which both hear each other, each the side with the hard NAT in turn. */
function paths(
  tries: number,
  strategy: 'bracket' | 'birthday',
  easy: Place,
  allocation: PortAllocation,
  options: Partial<PunchWorldOptions> & { readonly before?: (world: PunchWorld, hard: Role) => void } = {},
): number {
  let found = 0;
  const { before, ...rest } = options;
  forSeeds(tries, (random, seed) => {
    const hard = random.pick<Role>(['subscriber', 'publisher']);
    const symmetric: Place = {
      nat: { mapping: 'address-and-port-dependent', poisonable: true, allocation },
    };
    const sides = hard === 'subscriber' ? [symmetric, easy] : [easy, symmetric];
    const [subscriber = {}, publisher = {}] = sides;
    const world = new PunchWorld(seed, { subscriber, publisher, ...rest });
    before?.(world, hard);
    world.step(step(strategy, hard));
    const names = world.ends.map(({ selected }) => selected?.strategy);
    if (names.every((name) => name === strategy || name === 'extrapolate') && world.connected()) found++;
  });
  return found;
}

describe.each(Object.entries(EASY))('bracket: %s with a NAT that counts', (_, easy) => {
  test.each([1, -1, 2, 7, -30])('by %i', (by) => {
    expect(paths(20, 'bracket', easy, { pattern: 'sequential', step: by })).toBe(20);
  });

  test('with gaps', () => {
    const jitter = [1, 1, 1, 2, 3, 4] as const;
    expect(paths(50, 'bracket', easy, { pattern: 'sequential', step: 1, jitter })).toBeGreaterThanOrEqual(49);
  });

  test('while packets are lost', () => {
    const options = { lossPercent: 5, lateMs: 50 };
    expect(paths(50, 'bracket', easy, { pattern: 'sequential', step: 1 }, options)).toBeGreaterThanOrEqual(
      46,
    );
  });

  test('while others take 900 ports a second', () => {
    const before = ({ nats, runtime }: PunchWorld, hard: Role) => {
      const burn = () => {
        nats[hard]?.burn();
        if (runtime.now() < 5000) runtime.setTimer(1.11, burn);
      };
      burn();
    };
    expect(paths(20, 'bracket', easy, { pattern: 'sequential', step: 1 }, { before })).toBe(20);
  });
});

describe.each(Object.entries(EASY))('birthday: %s with a NAT', (_, easy) => {
  test('whose ports are random', () => {
    expect(paths(6, 'birthday', easy, { pattern: 'random' })).toBeGreaterThanOrEqual(5);
  });

  test('that gives them out of a block', () => {
    const options = { lossPercent: 2 };
    expect(
      paths(20, 'birthday', easy, { pattern: 'block', first: 20_480, size: 512 }, options),
    ).toBeGreaterThanOrEqual(18);
  });
});

describe('a search', () => {
  const symmetric: Place = { nat: { mapping: 'address-and-port-dependent' } };

  test('keeps to its pace and to its time, and stops when one was found', () => {
    const world = new PunchWorld(1, { subscriber: symmetric, publisher: { nat: {} } });
    const perSecond = new Map<number, number>();
    world.internet.onPacket = () => {
      const second = Math.floor(world.runtime.now() / 1000);
      perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
      return undefined;
    };
    world.step(step('birthday', 'subscriber'));
    expect(world.subscriber.selected?.strategy).toBe('birthday');
    expect(world.took).toBeLessThan(10_000);
    expect(Math.max(...perSecond.values())).toBeLessThanOrEqual(220);
    // All but the one in use are closed.
    expect([...world.subscriber.sockets.keys()]).toEqual([0, world.subscriber.selected?.socket]);
    const sent = world.publisher.sent;
    world.runtime.advance(3000);
    expect(world.publisher.sent - sent).toBeLessThanOrEqual(3);
  });

  test('that finds nothing ends in time and closes everything', () => {
    const world = new PunchWorld(1, { subscriber: symmetric, publisher: { nat: {} } });
    world.internet.onPacket = ({ to }) => (to.address === '45.80.1.2' ? 'drop' : undefined);
    world.step(step('birthday', 'subscriber'));
    expect(world.ends.map(({ failure }) => failure)).toEqual(['unanswered', 'unanswered']);
    expect(world.took).toBeLessThanOrEqual(10_100);
    expect([...world.subscriber.sockets.keys()]).toEqual([0]);
    expect(world.publisher.sent).toBeLessThanOrEqual(1500);
  });
});

test('a bracket without a STUN server fails by name on both sides', () => {
  const place: Place = {
    nat: { mapping: 'address-and-port-dependent', allocation: { pattern: 'sequential', step: 1 } },
  };
  const world = new PunchWorld(1, { subscriber: place, publisher: { nat: {} } });
  world.internet.onPacket = ({ from }) => (from.address === '45.80.9.10' ? 'drop' : undefined);
  world.step(step('bracket', 'subscriber'));
  expect(world.ends.map(({ failure }) => failure)).toEqual(['unmeasured', 'untold']);
});

test.each([1, 3])('where STUN answer %i of the burst is lost, the port is the next to the other', (lost) => {
  const place: Place = {
    nat: { mapping: 'address-and-port-dependent', allocation: { pattern: 'sequential', step: 5 } },
  };
  const world = new PunchWorld(1, { subscriber: { nat: {} }, publisher: place });
  const sources: number[] = [];
  world.internet.onPacket = ({ from, to }) => {
    if (!sources.includes(from.port)) sources.push(from.port);
    return to.address === '45.80.9.10' && from.port === sources[lost - 1] ? 'drop' : undefined;
  };
  world.step(step('bracket', 'publisher'));
  expect(world.ends.map(({ selected }) => selected?.strategy)).toEqual(['extrapolate', 'extrapolate']);
  expect(world.connected()).toBe(true);
});

test('a second try needs nothing of the first', () => {
  const place: Place = {
    nat: { mapping: 'address-and-port-dependent', allocation: { pattern: 'sequential', step: 1 } },
  };
  const world = new PunchWorld(1, { subscriber: { nat: {} }, publisher: place });
  const bracket = step('bracket', 'publisher');
  world.internet.onPacket = ({ to }) => (to.address === '45.80.1.2' ? 'drop' : undefined);
  world.step(bracket);
  expect(world.subscriber.failure).toBe('unanswered');
  world.internet.onPacket = undefined;
  world.step(bracket);
  expect(world.publisher.selected?.strategy).toBe('bracket');
  expect(world.connected()).toBe(true);
});
