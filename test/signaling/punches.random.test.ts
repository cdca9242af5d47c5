import { expect, it } from 'vitest';
import type { Notice } from '../../src/signaling/client-output.ts';
import type { PlanPunch, PunchStep } from '../../src/signaling/punch-plan.ts';
import { PunchingPair, type PunchingSide } from '../support/punching-pair.ts';
import { Random } from '../support/random.ts';
import { SignalingWorld } from '../support/signaling-world.ts';
import { coneVerdict } from '../support/verdict.ts';

const SEEDS = Array.from({ length: 12 }, (_, i) => i + 1);
const EVENTS = 400;

/** Something that a client could say, which may well fit. */
function utterance(random: Random, side: PunchingSide): Notice {
  const { link } = side;
  const step = random.integer(3) > 0 ? side.step : random.integer(side.step + 2);
  const search = random.integer(3) > 0 ? side.search : random.integer(side.search + 2);
  return random.pick<Notice>([
    { type: 'p2p_armed', link, step },
    { type: 'p2p_armed', link, step },
    { type: 'p2p_armed', link, step },
    { type: 'p2p_result', link, step, result: random.pick(['direct', 'failed', 'failed', 'failed']) },
    { type: 'p2p_result', link, step, result: 'refused' },
    { type: 'p2p_again', link, search },
    { type: 'p2p_message', link, body: 'AAAA', mac: 'A'.repeat(43) },
    { type: 'p2p_bytes', link, received: random.integer(1000) },
  ]);
}

function planner(random: Random): PlanPunch {
  const step = (): PunchStep => {
    const strategies = [random.pick(['host', 'direct', 'bracket', 'birthday'])];
    return { strategies, tries: 1 + random.integer(3) };
  };
  return () => ({
    steps: Array.from({ length: random.integer(4) }, step),
    noWay: random.pick([null, 'unpredictable']),
  });
}

/** What must hold of all that one side was told, whatever was said. */
function check(side: PunchingSide): void {
  let [search, step, gone] = [0, 0, 0];
  for (const message of side.heard) {
    if (message.type === 'p2p_step') {
      expect(message.step).toBeGreaterThan(step);
      expect(message.search).toBeGreaterThanOrEqual(search);
      expect(message.attempt).toBeLessThanOrEqual(message.plan.tries);
      [search, step] = [message.search, message.step];
    } else if (message.type === 'p2p_go') {
      // Once, and never for a try that another one has replaced.
      expect(message.step).toBe(step);
      expect(gone).toBeLessThan(step);
      gone = step;
    } else if (message.type === 'p2p_relay') {
      expect(message.search).toBeGreaterThanOrEqual(search);
      search = message.search;
    }
  }
}

it.each(SEEDS)('whatever clients say, searches keep their order and their pauses (seed %d)', async (seed) => {
  const random = new Random(seed);
  const world = new SignalingWorld({ planPunch: planner(random) }, seed);
  const options = { nats: [coneVerdict, coneVerdict], addresses: ['192.0.2.1', '192.0.2.1'] } as const;
  const pairs = [
    await PunchingPair.meet(world, { ...options, name: 'a' }),
    await PunchingPair.meet(world, { ...options, name: 'b' }),
  ] as const;
  for (let i = 0; i < EVENTS; i++) {
    const side = random.pick([...random.pick([...pairs]).both]);
    if (random.integer(60) === 0) side.client.cut();
    else side.say(utterance(random, side));
    if (random.integer(4) === 0) await world.advance(random.integer(random.pick([50, 500, 5000])));
  }
  await world.advance(1_000);
  const elapsed = world.runtime.now();
  for (const { both } of pairs) {
    for (const side of both) {
      expect(side.client.session.online).toBe(true);
      check(side);
      // A second between the first two, two until the next, and so on; good paths of a minute begin that anew.
      expect(side.search).toBeLessThan(8 + elapsed / 30_000);
    }
  }
  expect(pairs.some(({ subscriber }) => subscriber.of('p2p_go').length > 0)).toBe(true);
  for (const { subscriber, link } of pairs) subscriber.say({ type: 'p2p_close', link });
  await world.advance(70_000);
  expect(world.hub.counts).toMatchObject({ links: 0, punches: 0 });
  for (const { both } of pairs) for (const side of both) side.client.input((session) => session.stop());
  await world.advance(130_000);
  expect(world.hub.pollTimeout()).toBeUndefined();
});
