import { describe, expect, test } from 'vitest';
import { bracketPorts, extrapolatePorts, MAX_GUESSES } from '../../src/punch/bracket.ts';
import { ensure, forSeeds } from '../support/seeds.ts';
import { type PortAllocation, PortAllocator } from '../support/virtual-ports.ts';

test.each([
  [1000, 1002, 1, [1001]],
  [5000, 5004, 1, [5002, 5001, 5003]],
  [5004, 5000, -2, [5002]],
  [5000, 5001, 1, []],
  [5000, 5009, 3, [5003, 5006]],
  // A gap that is no multiple of the step: others count, too, or the step was mistaken.
  [5000, 5007, 3, [5003, 5006]],
  [65_530, 1030, 3, [65_533, 1027, 1024]],
  [65_535, 1025, 1, [1024]],
  [1024, 65_534, -1, [65_535]],
] as const)('between %i and %i, by %i', (before, after, step, expected) => {
  expect(bracketPorts(before, after, step)).toEqual(expected);
});

test.each([
  [5000, 2, [5002, 5004, 5006, 5008, 5010, 5012]],
  [65_533, 1, [65_534, 65_535]],
  [1026, -1, [1025, 1024]],
] as const)('beyond %i, by %i', (last, step, expected) => {
  expect(extrapolatePorts(last, step)).toEqual(expected);
});

/** How often the port of the mapping in the middle is among those that are guessed. */
function hits(allocation: PortAllocation & { pattern: 'sequential' }, others = 0): number {
  let found = 0;
  forSeeds(500, (random) => {
    const ports = new PortAllocator(allocation, random);
    const burn = () => {
      for (let i = random.integer(others + 1); i > 0; i--) ports.next();
    };
    const before = ports.next();
    burn();
    const between = ports.next();
    burn();
    const guesses = bracketPorts(before, ports.next(), allocation.step);
    ensure(guesses.length <= MAX_GUESSES, 'few');
    ensure(
      guesses.every((port) => port >= 1024 && port <= 65_535),
      'ports',
    );
    if (guesses.includes(between)) found++;
  });
  return found / 500;
}

describe('against a NAT that counts', () => {
  test.each([1, -1, 3, 17, -64])('by %i', (step) => {
    expect(hits({ pattern: 'sequential', step })).toBe(1);
  });

  test('and skips some', () => {
    expect(hits({ pattern: 'sequential', step: 2, jitter: [1, 1, 1, 2, 3, 4] })).toBeGreaterThan(0.99);
  });

  test('for others meanwhile', () => {
    expect(hits({ pattern: 'sequential', step: 1 }, 2)).toBeGreaterThan(0.99);
  });
});
