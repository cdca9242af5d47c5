import { expect, test } from 'vitest';
import { planPunch } from '../../src/punch/strategy.ts';
import type { Place } from '../support/punch-place.ts';
import { PunchWorld, type PunchWorldOptions } from '../support/punch-world.ts';
import { ensure, forSeeds } from '../support/seeds.ts';

const block = (first: number, size: number): Place => ({
  nat: {
    mapping: 'address-and-port-dependent',
    poisonable: true,
    allocation: { pattern: 'block', first, size },
  },
});

/** How many of so many pairs of NATs found a path on which both hear each other, and how many of them within 12 s. */
function paths(pairs: number, options: PunchWorldOptions): { found: number; soon: number } {
  let [found, soon] = [0, 0];
  forSeeds(pairs, (_, seed) => {
    const world = new PunchWorld(seed, options);
    const [mine, yours] = world.ends.map(({ verdict }) => ({ verdict, lan: false, vouched: true }));
    if (mine === undefined || yours === undefined) return;
    const beganAt = world.runtime.now();
    const { steps } = planPunch(mine, yours, false);
    ensure(steps[0]?.hard === 'both', 'both search');
    const tries = steps.flatMap((step) => Array.from({ length: step.tries }, () => step));
    for (const step of tries) if (!world.subscriber.selected) world.step(step);
    const seconds = (world.wentAt + world.took - beganAt) / 1000;
    ensure(seconds <= 20, `${seconds} s`);
    for (const { sent } of world.ends) ensure(sent < 3200, `${sent} packets`);
    if (!world.ends.every(({ selected }) => selected?.strategy === 'birthday') || !world.connected()) return;
    found++;
    if (seconds <= 12) soon++;
  });
  return { found, soon };
}

test('two NATs that give random ports out of a block meet, nine times of ten within 12 s', () => {
  const options = { subscriber: block(20_480, 512), publisher: block(30_000, 512), lossPercent: 1 };
  const { found, soon } = paths(40, { ...options, discovers: true });
  expect(found).toBeGreaterThanOrEqual(38);
  expect(soon).toBeGreaterThanOrEqual(36);
}, 60_000);

test('smaller blocks always meet, larger ones often enough', () => {
  expect(paths(5, { subscriber: block(20_480, 390), publisher: block(30_000, 400) }).found).toBe(5);
  const { found } = paths(10, { subscriber: block(20_480, 1000), publisher: block(30_000, 800) });
  expect(found).toBeGreaterThanOrEqual(6);
}, 60_000);

test('the search keeps to its pace, stops when one was found, and closes all sockets but one', () => {
  const world = new PunchWorld(1, { subscriber: block(20_480, 512), publisher: block(30_000, 512) });
  const perSecond = new Map<string, number>();
  world.internet.onPacket = ({ from }) => {
    const key = `${from.address} ${Math.floor(world.runtime.now() / 1000)}`;
    perSecond.set(key, (perSecond.get(key) ?? 0) + 1);
    return undefined;
  };
  world.step({ strategies: ['birthday'], hard: 'both', tries: 2 });
  expect(Math.max(...perSecond.values())).toBeLessThanOrEqual(220);
  for (const { sockets, selected } of world.ends) expect([...sockets.keys()]).toEqual([0, selected?.socket]);
  const sent = world.ends.map((end) => end.sent);
  world.runtime.advance(3000);
  expect(world.ends.map((end) => end.sent)).toEqual(sent);
});

test('a search that finds nothing ends in time on both sides', () => {
  const world = new PunchWorld(1, { subscriber: block(20_480, 512), publisher: block(30_000, 512) });
  world.internet.onPacket = ({ to }) => (to.address === '45.80.1.2' ? 'drop' : undefined);
  world.step({ strategies: ['birthday'], hard: 'both', tries: 2 });
  expect(world.ends.map(({ failure }) => failure)).toEqual(['unanswered', 'unanswered']);
  expect(world.took).toBeLessThan(6000);
  for (const { sockets } of world.ends) expect([...sockets.keys()]).toEqual([0]);
});

test('who is not told where the other side searches says so', () => {
  const world = new PunchWorld(1, { subscriber: block(20_480, 512), publisher: { nat: {} } });
  world.publisher.agent.close();
  world.step({ strategies: ['birthday'], hard: 'both', tries: 2 }, 5000);
  expect(world.subscriber.failure).toBe('untold');
  expect(world.subscriber.sent).toBe(0);
});
