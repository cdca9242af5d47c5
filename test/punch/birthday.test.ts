import { describe, expect, test } from 'vitest';
import {
  drawPorts,
  EVERY_PORT,
  hitChance,
  MAX_PROBES,
  MAX_SOCKETS,
  planSearch,
  sizeOf,
  widened,
} from '../../src/punch/birthday.ts';
import { PACE } from '../../src/punch/pace.ts';
import { Random } from '../support/random.ts';
import { ensure, forSeeds } from '../support/seeds.ts';

describe('the chance', () => {
  test.each([
    [64_512, 256, 174, 0.5],
    [64_512, 256, 512, 0.87],
    [64_512, 256, 1024, 0.983],
    [64_512, 256, 1500, 0.9976],
    [64_512, 256, 2048, 0.9997],
    [64_512, 84, 700, 0.6],
    [16_384, 64, 1024, 0.983],
    [4096, 64, 128, 0.87],
    [1024, 32, 64, 0.875],
    [512, 64, 32, 0.987],
    [64, 1, 64, 1],
    [10, 0, 10, 0],
  ])('of %i ports with %i sockets and %i probes', (range, sockets, probes, chance) => {
    expect(hitChance(range, { sockets, probes })).toBeCloseTo(chance, 2);
  });

  test('is what happens', () => {
    let found = 0;
    forSeeds(2000, (random) => {
      const range = { first: 20_480, last: 20_991 };
      const bytes = (size: number) => random.bytes(size);
      const held = new Set(drawPorts(range, 24, bytes));
      if (drawPorts(range, 32, bytes).some((port) => held.has(port))) found++;
    });
    expect(found / 2000).toBeCloseTo(hitChance(512, { sockets: 24, probes: 32 }), 1);
  });
});

describe('the plan', () => {
  test.each([16, 100, 512, 1024, 4096, 16_384, 32_768, sizeOf(EVERY_PORT)])('for %i ports', (range) => {
    const search = planSearch(range);
    expect(search.sockets).toBeLessThanOrEqual(Math.min(MAX_SOCKETS, range));
    expect(search.probes).toBeLessThanOrEqual(Math.min(MAX_PROBES, range));
    expect(hitChance(range, search)).toBeGreaterThanOrEqual(range > 40_000 ? 0.997 : 0.9999);
    // Both sides in turn, at their pace, within the time of a round.
    expect(search.probes * PACE).toBeLessThanOrEqual(10_000);
  });

  test('asks for as little as will do', () => {
    expect(planSearch(sizeOf(EVERY_PORT))).toEqual({ sockets: 256, probes: expect.any(Number) });
    const { sockets, probes } = planSearch(512);
    expect(sockets + probes).toBeLessThan(170);
    expect(planSearch(1)).toEqual({ sockets: 1, probes: 1 });
  });
});

test('a range that was estimated is searched with a margin, within what ports there are', () => {
  expect(widened({ first: 20_000, last: 20_399 })).toEqual({ first: 19_900, last: 20_499 });
  expect(widened({ first: 1100, last: 65_000 })).toEqual(EVERY_PORT);
});

test('ports are drawn once each, all over the range', () => {
  forSeeds(50, (random) => {
    const range = { first: 1024 + random.integer(1000), last: 3000 + random.integer(1000) };
    const count = 1 + random.integer(sizeOf(range));
    const ports = drawPorts(range, count, (size) => random.bytes(size));
    ensure(new Set(ports).size === count, 'different');
    ensure(
      ports.every((port) => port >= range.first && port <= range.last),
      'in range',
    );
  });
  const random = new Random(1);
  const all = drawPorts({ first: 5, last: 8 }, 10, (size) => random.bytes(size));
  expect(all.toSorted()).toEqual([5, 6, 7, 8]);
});
