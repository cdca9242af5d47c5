import { expect, test } from 'vitest';
import { ARMED, armedPorts, MAX_SWEEP, sweepShots, sweepTargets } from '../../src/punch/sweep.ts';
import { ensure, forSeeds } from '../support/seeds.ts';
import { PortAllocator } from '../support/virtual-ports.ts';

test('the targets lie ahead, as far as ports go', () => {
  expect(sweepTargets(5000, 1)).toEqual([5060, 5074, 5088]);
  expect(sweepTargets(5000, -2)).toEqual([4880, 4852, 4824]);
  expect(sweepTargets(65_470, 1)).toEqual([65_530]);
  expect(sweepTargets(65_530, 1)).toEqual([]);
});

test('ports between two that are known are exact where nothing came in between', () => {
  expect(armedPorts(5000, 5018, 2)).toEqual([5002, 5004, 5006, 5008, 5010, 5012, 5014, 5016]);
  expect(armedPorts(5000, 5002, 1)).toEqual([]);
  expect(armedPorts(65_535, 1040, 1)).toEqual([]);
  const spread = armedPorts(5000, 5020, 1);
  expect(spread).toHaveLength(ARMED);
  expect(spread.every((port) => port > 5000 && port < 5020)).toBe(true);
});

test('shots are new mappings all, and one of them meets whoever waits for its port', () => {
  forSeeds(200, (random) => {
    const step = (1 + random.integer(9)) * random.pick([1, -1]);
    const swept = new PortAllocator({ pattern: 'sequential', step }, random);
    const first = swept.next();
    const targets = sweepTargets(first, step);
    if (targets.length < 3) return;
    const armed = Array.from({ length: ARMED }, (_, i) => 40_000 + i);
    for (let burnt = random.integer(30); burnt > 0; burnt--) swept.next();
    const shots = sweepShots(swept.next(), step, targets, armed);
    ensure(shots.length <= MAX_SWEEP, 'few');
    ensure(new Set(shots.map(({ port, socket }) => `${port} ${socket}`)).size === shots.length, 'new');
    ensure(Math.max(...shots.map(({ socket }) => socket)) < MAX_SWEEP / 2, 'few sockets');
    const meets = shots.filter(({ port }) => targets[armed.indexOf(port) % 3] === swept.next());
    ensure(meets.length === 3, `${meets.length} of 3 targets`);
  });
});

test('without anything to aim at nothing is sent', () => {
  expect(sweepShots(5000, 1, [5060], [])).toEqual([]);
  expect(sweepShots(5000, 1, [], [40_000])).toEqual([]);
});
