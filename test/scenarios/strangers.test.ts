import { describe, expect, test } from 'vitest';
import { punchKeys } from '../../src/punch/keys.ts';
import { sealProbe } from '../../src/punch/probe.ts';
import { PunchWorld } from '../support/punch-world.ts';
import { ensure, forSeeds, mutate } from '../support/seeds.ts';
import type { Packet } from '../support/virtual-router.ts';
import { listen } from '../support/virtual-world.ts';

/** Two open hosts on the way to a path, all that they said on it, and somebody else. */
function overheard(seed = 1) {
  const world = new PunchWorld(seed, { subscriber: {}, publisher: {} });
  const captured: Packet[] = [];
  world.internet.onPacket = (packet) => {
    captured.push(packet);
    return undefined;
  };
  const stranger = world.internet.addHost('45.80.66.6').open({ family: 4, port: 6666 });
  const heard = listen(stranger);
  world.step();
  world.internet.onPacket = undefined;
  const { publisher, runtime } = world;
  const main = publisher.sockets.get(0)?.local ?? { address: '', port: 0 };
  const proven = () => publisher.agent.isProven(0, stranger.local, runtime.now());
  return { world, captured, stranger, heard, publisher, runtime, main, proven };
}

test('a stranger’s probes are not answered', () => {
  const { world, stranger, heard, runtime, main, proven } = overheard();
  const keys = punchKeys(Buffer.alloc(32), {
    ...{ link: Buffer.alloc(16), offerNonce: Buffer.alloc(32), answerNonce: Buffer.alloc(32) },
    ...{ offerFingerprint: Buffer.alloc(32), answerFingerprint: Buffer.alloc(32) },
  });
  for (const role of ['subscriber', 'publisher'] as const) {
    const transactionId = world.random.bytes(12);
    stranger.send(sealProbe({ transactionId }, { link: Buffer.alloc(16), role, key: keys[role] }), main);
  }
  runtime.advance(1000);
  expect(heard).toEqual([]);
  expect(proven()).toBe(false);
});

test('what was captured and comes again from elsewhere is not answered, and opens nothing', () => {
  const { captured, stranger, heard, runtime, main, proven } = overheard();
  expect(captured.length).toBeGreaterThan(10);
  for (const { bytes } of captured) stranger.send(bytes, main);
  runtime.advance(1000);
  expect(heard).toEqual([]);
  expect(proven()).toBe(false);
});

test('a probe that was held back and sent on by somebody else proves nothing of them', () => {
  const { world, publisher, subscriber, stranger, heard } = (() => {
    const world = new PunchWorld(1, { subscriber: {}, publisher: {} });
    const stranger = world.internet.addHost('45.80.66.6').open({ family: 4, port: 6666 });
    return { world, ...world, stranger, heard: listen(stranger) };
  })();
  const { runtime, internet } = world;
  const main = publisher.sockets.get(0)?.local ?? { address: '', port: 0 };
  let held: Buffer | undefined;
  internet.onPacket = ({ to, bytes }) => {
    if (held || to.port !== main.port) return undefined;
    held = bytes;
    stranger.send(bytes, main);
    return 'drop';
  };
  world.step();
  expect(held).toBeDefined();
  // An answer and the agent's own probes, no more than any address gets, and none of them can be answered by a stranger.
  expect(heard.length).toBeGreaterThan(0);
  expect(heard.length).toBeLessThanOrEqual(11);
  expect(publisher.agent.isProven(0, stranger.local, runtime.now())).toBe(false);
  expect(publisher.selected?.remote).toEqual(subscriber.sockets.get(0)?.local);
});

test.each(['subscriber', 'publisher'] as const)(
  'a heartbeat that was held back and sent on by somebody else moves the path of the %s nowhere',
  (role) => {
    const { world, stranger, runtime } = overheard();
    const end = world[role];
    const main = end.sockets.get(0)?.local ?? { address: '', port: 0 };
    const path = end.selected;
    let held = 0;
    world.internet.onPacket = ({ from, to, bytes }) => {
      if (to.port !== main.port || from.port === stranger.local.port || held > 2) return undefined;
      held++;
      stranger.send(bytes, main);
      return 'drop';
    };
    runtime.advance(30_000);
    expect(held).toBe(3);
    expect(end.selected).toBe(path);
    expect(end.agent.isProven(0, stranger.local, runtime.now())).toBe(false);
    expect(world.connected()).toBe(true);
  },
);

test('what an agent sent itself, sent back to it, is nothing to it', () => {
  const { captured, stranger, heard, runtime, main } = overheard();
  for (const { bytes, from } of captured) if (from.port === main.port) stranger.send(bytes, main);
  runtime.advance(1000);
  expect(heard).toEqual([]);
});

describe('noise', () => {
  test('made of real probes changes nothing', () => {
    forSeeds(5, (random, seed) => {
      const { world, captured, stranger, heard, runtime, main, proven } = overheard(seed);
      for (let i = 0; i < 300; i++) {
        const { bytes } = captured[random.integer(captured.length)] ?? { bytes: Buffer.alloc(20) };
        const changed = mutate(bytes, random);
        if (!captured.some((one) => one.bytes.equals(changed))) stranger.send(changed, main);
      }
      runtime.advance(1000);
      ensure(heard.length === 0 && !proven(), 'silence');
      ensure(world.connected(), 'still connected');
    });
  });

  test('from the peer’s own address changes nothing', () => {
    forSeeds(5, (random, seed) => {
      const { world, captured, main, runtime } = overheard(seed);
      const from = world.subscriber.sockets.get(0)?.local ?? main;
      for (let i = 0; i < 300; i++) {
        const { bytes } = captured[random.integer(captured.length)] ?? { bytes: Buffer.alloc(20) };
        world.internet.inject({ from, to: main, bytes: mutate(bytes, random) });
      }
      runtime.advance(1000);
      ensure(world.connected(), 'still connected');
    });
  });
});
