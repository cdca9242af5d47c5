import { describe, expect, test } from 'vitest';
import { familyOf } from '../../src/net/endpoint.ts';
import { otherRole, type Role } from '../../src/punch/keys.ts';
import type { PunchStep } from '../../src/punch/strategy.ts';
import { LATENCY, PunchWorld } from '../support/punch-world.ts';
import { ensure, forSeeds } from '../support/seeds.ts';
import type { Packet } from '../support/virtual-router.ts';

const home = { nat: {} };

test('a path lives on for hours, though packets are lost and NATs forget what is not used', () => {
  forSeeds(3, (_, seed) => {
    const world = new PunchWorld(seed, { subscriber: home, publisher: home, lossPercent: 5 }).step();
    world.runtime.advance(4 * 3600 * 1000);
    for (const { events } of world.ends) {
      expect(events.filter(({ type }) => type === 'selected')).toHaveLength(1);
      expect(events.some(({ type }) => type === 'lost')).toBe(false);
    }
    expect(world.connected()).toBe(true);
  });
}, 30_000);

test('a path that dies is reported within three heartbeats, and the agent falls silent', () => {
  const world = new PunchWorld(1, { subscriber: home, publisher: home }).step();
  world.internet.lossPercent = 100;
  world.runtime.advance(24_000);
  for (const end of world.ends) {
    expect(end.events.filter(({ type }) => type === 'lost')).toHaveLength(1);
    const { socket, remote } = end.selected ?? { socket: 0, remote: { address: '', port: 0 } };
    expect(end.agent.isProven(socket, remote, world.runtime.now())).toBe(false);
    expect(end.agent.pollTimeout()).toBeUndefined();
  }
  const sent = world.ends.map((end) => end.sent);
  world.runtime.advance(60_000);
  expect(world.ends.map((end) => end.sent)).toEqual(sent);
});

test('what QUIC hears is a sign of life', () => {
  const world = new PunchWorld(1, { subscriber: home, publisher: home }).step();
  world.internet.lossPercent = 100;
  for (let i = 0; i < 60; i++) {
    world.runtime.advance(1000);
    for (const { agent } of world.ends) agent.alive();
  }
  for (const { events } of world.ends) expect(events.some(({ type }) => type === 'lost')).toBe(false);
});

test.each(['subscriber', 'publisher'] as const)(
  'a NAT that gives the %s another port is followed',
  (role) => {
    forSeeds(5, (_, seed) => {
      const open = { nat: { filtering: 'endpoint-independent' } } as const;
      const world = new PunchWorld(seed, { subscriber: open, publisher: open }).step();
      const other = role === 'subscriber' ? world.publisher : world.subscriber;
      const before = other.selected?.remote;
      world.nats[role]?.flush();
      world.runtime.advance(15_000);
      for (const { events } of world.ends) expect(events.some(({ type }) => type === 'lost')).toBe(false);
      expect(other.selected?.remote).not.toEqual(before);
      expect(world.connected()).toBe(true);
    });
  },
);

describe('a check', () => {
  const open = { nat: { filtering: 'endpoint-independent' } } as const;
  const check = (world: PunchWorld, role: Role) => {
    world[role].agent.check(world.runtime.now());
    world[role].pump();
  };

  test.each(['subscriber', 'publisher'] as const)(
    'shows the other side at once where the %s is now',
    (role) => {
      forSeeds(5, (_, seed) => {
        const world = new PunchWorld(seed, { subscriber: open, publisher: open }).step();
        const other = world[otherRole(role)];
        const before = other.selected;
        for (let moves = 0; moves < 3; moves++) {
          world.nats[role]?.flush();
          check(world, role);
          // There, a probe and its answer, and where the subscriber has to follow, its nomination and the consent to that.
          world.runtime.advance(5 * LATENCY);
          ensure(other.selected?.remote.port !== before?.remote.port, 'it has followed');
          ensure(other.selected?.strategy === before?.strategy, 'it is still the path that was found');
          ensure(world.connected(), 'both hear each other');
        }
      });
    },
  );

  test('finds out within 1.5 s that the path is dead', () => {
    forSeeds(5, (_, seed) => {
      const world = new PunchWorld(seed, { subscriber: home, publisher: home }).step();
      world.internet.lossPercent = 100;
      world.runtime.advance(1000 + 100 * seed);
      check(world, 'subscriber');
      world.runtime.advance(1499);
      ensure(!world.subscriber.events.some(({ type }) => type === 'lost'), 'it is waited for');
      // What QUIC has received may be from before.
      world.subscriber.agent.alive();
      world.runtime.advance(1);
      ensure(world.subscriber.events.at(-1)?.type === 'lost', 'it is lost');
      ensure(!world.publisher.events.some(({ type }) => type === 'lost'), 'the other side does not know');
    });
  });

  test('does no harm to a path that lives, though packets are lost', () => {
    forSeeds(10, (_, seed) => {
      const world = new PunchWorld(seed, { subscriber: home, publisher: home, lossPercent: 5 }).step();
      for (let i = 0; i < 20; i++) {
        check(world, 'publisher');
        world.runtime.advance(3000);
      }
      ensure(world.publisher.events.filter(({ type }) => type === 'selected').length === 1, 'it stays');
      ensure(world.connected(), 'both hear each other');
    });
  });

  test('without a path is nothing', () => {
    const world = new PunchWorld(1, { subscriber: home, publisher: home });
    check(world, 'subscriber');
    expect(world.subscriber.events).toEqual([]);
    expect(world.step().connected()).toBe(true);
  });
});

describe('another path', () => {
  const both = { nat: {}, ipv6: true, firewall: true };
  const step: PunchStep = { strategies: ['ipv6', 'direct'], tries: 1 };
  const blocked =
    (family: 4 | 6) =>
    ({ to }: Packet) =>
      familyOf(to) === family ? ('drop' as const) : undefined;
  const strategies = ({ ends }: PunchWorld) => ends.map(({ selected }) => selected?.strategy);

  test('that is better is found within a minute, through firewalls on both sides', () => {
    forSeeds(5, (random, seed) => {
      const lateMs = random.integer(100);
      const world = new PunchWorld(seed, { subscriber: both, publisher: both, lossPercent: 2, lateMs });
      world.internet.onPacket = blocked(6);
      world.step(step);
      ensure(
        strategies(world).every((name) => name === 'direct'),
        'what there was',
      );
      world.internet.onPacket = undefined;
      world.runtime.advance(130_000);
      ensure(
        strategies(world).every((name) => name === 'ipv6'),
        'what there is',
      );
      const moves = world.subscriber.events.filter(({ type }) => type === 'selected');
      ensure(moves.length === 2, 'and there it stays');
      ensure(world.connected(), 'both hear each other');
    });
  });

  test('takes over when the one in use dies, before anybody else has to know', () => {
    forSeeds(5, (_, seed) => {
      const world = new PunchWorld(seed, { subscriber: both, publisher: both }).step(step);
      ensure(
        strategies(world).every((name) => name === 'ipv6'),
        'the better one',
      );
      world.internet.onPacket = blocked(6);
      world.runtime.advance(14_000);
      ensure(
        strategies(world).every((name) => name === 'direct'),
        'the other one',
      );
      ensure(
        world.ends.every(({ events }) => !events.some(({ type }) => type === 'lost')),
        'none was lost',
      );
      ensure(world.connected(), 'both hear each other');
    });
  });

  test('is not preferred for a few milliseconds, nor is an address that never answers asked often', () => {
    const world = new PunchWorld(1, { subscriber: home, publisher: home }).step();
    const sent = world.subscriber.sent;
    world.runtime.advance(600_000);
    expect(world.subscriber.events.filter(({ type }) => type === 'selected')).toHaveLength(1);
    // A heartbeat, and the answer to one, every 5 s; and in every minute four probes to an address that is not there.
    expect(world.subscriber.sent - sent).toBeLessThan(1.1 * (2 * 120 + 10 * 4));
  });
});

test('a NAT that forgets in 2.5 s is reminded in time', () => {
  forSeeds(3, (random, seed) => {
    const forgetful = { nat: { idleMs: 2500, allocation: { pattern: 'preserving' } } } as const;
    const world = new PunchWorld(seed, { subscriber: forgetful, publisher: forgetful }).step();
    world.runtime.advance(30_000);
    let through = 0;
    for (let i = 0; i < 40; i++) {
      world.runtime.advance(5000 + random.integer(5000));
      if (world.connected()) through++;
    }
    ensure(through >= 32, `${through} of 40`);
    ensure(!world.ends.some(({ events }) => events.some(({ type }) => type === 'lost')), 'it is not lost');
  });
});

test('both stop probing what they do not use', () => {
  const place = { nat: {}, ipv6: true };
  const world = new PunchWorld(1, { subscriber: place, publisher: place }).step();
  const sent = world.ends.map((end) => end.sent);
  world.runtime.advance(3000);
  expect(world.ends.map((end) => end.sent)).toEqual(sent);
});
