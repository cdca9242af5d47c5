import { describe, expect, test } from 'vitest';
import { armedPorts, Counter, MAX_SWEEP, targetFor } from '../../src/punch/sweep.ts';
import { ensure, forSeeds } from '../support/seeds.ts';
import { PortAllocator } from '../support/virtual-ports.ts';

describe('a counter', () => {
  const counterAt = (...samples: (readonly [turn: number, port: number])[]) => {
    const counter = new Counter(2);
    for (const [turn, port] of samples) counter.learn(turn, port);
    return counter;
  };

  test('goes on from where it was seen, at its step', () => {
    expect(new Counter(1).portAt(5)).toBeUndefined();
    expect(counterAt([3, 5000]).portAt(3)).toBe(5000);
    expect(counterAt([3, 5000]).portAt(8)).toBe(5010);
    const down = new Counter(-3);
    down.learn(0, 5000);
    expect(down.portAt(2)).toBe(4994);
  });

  test('goes faster where it has been seen to skip ports', () => {
    const counter = counterAt([0, 5000], [10, 5040]);
    expect(counter.portAt(15)).toBe(5060);
    expect(counter.portAt(5)).toBe(5020);
    const later = counter.later();
    expect(later.portAt(20)).toBeUndefined();
    later.learn(20, 6000);
    expect(later.portAt(25)).toBe(6020);
  });

  test('gives whole steps only', () => {
    const counter = counterAt([0, 5000], [3, 5010]);
    for (let turn = 0; turn < 100; turn++) expect((counter.portAt(turn) ?? 1) % 2).toBe(0);
    for (const target of counter.targetsAfter(4)) expect(target % 2).toBe(0);
  });

  test('that came to its end and began anew is as fast as before, and old news change nothing', () => {
    expect(counterAt([0, 65_530], [5, 1030]).portAt(10)).toBe(1040);
    expect(counterAt([5, 5010], [4, 5008]).portAt(6)).toBe(5012);
  });

  test('has targets ahead, as far as ports go', () => {
    expect(counterAt([0, 5000]).targetsAfter(0)).toEqual([5064, 5080, 5096, 5112, 5128, 5144, 5160, 5176]);
    expect(counterAt([0, 65_450]).targetsAfter(0)).toEqual([65_514, 65_530]);
    expect(counterAt([0, 65_530]).targetsAfter(0)).toEqual([]);
    expect(counterAt().targetsAfter(0)).toEqual([]);
  });
});

test('the nearest target is meant, until all are behind', () => {
  const targets = [5064, 5080, 5096];
  const meant = (port: number) => targetFor(port, targets, 2);
  expect([4000, 5064, 5071, 5073, 5096, 5112, 5114].map(meant)).toEqual([0, 0, 0, 1, 2, 2, undefined]);
  expect([6000, 5936, 5929, 5900].map((port) => targetFor(port, [5936, 5920], -2))).toEqual([
    0,
    0,
    0,
    undefined,
  ]);
  expect(targetFor(5000, [], 1)).toBeUndefined();
});

test('mappings between two that are known are the next to the one before', () => {
  expect(armedPorts([5000, 5004, 5008], 2)).toEqual([5002, 5006]);
  expect(armedPorts([5000, 5007, 5011], 1)).toEqual([5001, 5008]);
  expect(armedPorts([undefined, 5004, undefined], 2)).toEqual([5002, 5006]);
  // Each has its place, known or not.
  expect(armedPorts([5000, undefined, undefined], 2)).toEqual([5002, 5002]);
  expect(armedPorts([65_535, 1025], 1)).toEqual([]);
  expect(armedPorts([undefined, undefined], 1)).toEqual([]);
  expect(armedPorts([], 1)).toEqual([]);
});

test('while others take ports, a sweep goes through all targets and knows which is next', () => {
  forSeeds(200, (random) => {
    const step = (1 + random.integer(9)) * random.pick([1, -1]);
    const swept = new PortAllocator({ pattern: 'sequential', step }, random);
    const counter = new Counter(step);
    for (let turn = 0; turn < 8; turn++) counter.learn(turn, swept.next());
    const targets = counter.targetsAfter(8);
    if (targets.length < 8) return;
    for (let burnt = random.integer(20); burnt > 0; burnt--) swept.next();
    const later = counter.later();
    later.learn(8, swept.next());
    const met = new Set<number>();
    for (let turn = 9; turn < 9 + MAX_SWEEP; turn++) {
      const meant = targetFor(later.portAt(turn) ?? 0, targets, step);
      if (targets[meant ?? -1] === swept.next()) met.add(meant ?? -1);
    }
    ensure(met.size === targets.length, `${met.size} targets`);
  });
});
