import { expect, test } from 'vitest';
import { PunchWorld } from '../support/punch-world.ts';
import { forSeeds } from '../support/seeds.ts';

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

test('both stop probing what they do not use', () => {
  const place = { nat: {}, ipv6: true };
  const world = new PunchWorld(1, { subscriber: place, publisher: place }).step();
  const sent = world.ends.map((end) => end.sent);
  world.runtime.advance(3000);
  expect(world.ends.map((end) => end.sent)).toEqual(sent);
});
