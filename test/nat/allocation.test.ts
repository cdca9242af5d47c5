import { expect, test } from 'vitest';
import { allocationOf } from '../../src/nat/allocation.ts';
import type { Random } from '../support/random.ts';
import { forSeeds } from '../support/seeds.ts';

const sequential = (step: number) => ({ pattern: 'sequential', step, range: null });

test.each<[string, number[], number]>([
  ['up by one', [40000, 40001, 40002, 40003], 1],
  ['up by two', [40000, 40002, 40004, 40006, 40008], 2],
  ['down by three', [40009, 40006, 40003, 40000], -3],
  ['by more than a gap could be', [20000, 20300, 20600, 20900], 300],
  ['while another host takes some', [40000, 40002, 40008, 40010, 40014], 2],
  ['with answers lost', [40000, 40021, 40028], 7],
  ['jittered', [40000, 40001, 40005, 40007, 40008, 40011], 1],
  ['beginning again', [40998, 40999, 40000, 40001, 40002], 1],
  ['beginning again, downwards', [40003, 40001, 49999, 49997, 49995], -2],
])('ports that are counted, %s', (_, ports, step) => {
  expect(allocationOf(ports)).toEqual(sequential(step));
});

test('two ports say nothing', () => {
  expect(allocationOf([])).toBeNull();
  expect(allocationOf([40000, 40001])).toBeNull();
});

test('every step, direction and start is found, whatever a neighbour takes', () => {
  forSeeds(2000, (random, seed) => {
    const step = (1 + random.integer(40)) * random.pick([1, -1]);
    let port = 20_000 + random.integer(20_000);
    const ports = [port];
    for (let i = 0; i < 7; i++) {
      port += step * (random.next() < 0.2 ? 2 : 1);
      ports.push(port);
    }
    // All gaps being doubled is the one case that cannot be told.
    const gaps = ports.slice(1).map((each, i) => each - (ports[i] ?? 0));
    if (!gaps.includes(step)) return;
    expect(allocationOf(ports), `seed ${seed}: ${ports}`).toEqual(sequential(step));
  });
});

function drawn(random: Random, first: number, size: number, count = 8): number[] {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(first + random.integer(size));
  return [...ports];
}

test('a block is told from the whole range, and its size is estimated', () => {
  const sizes: number[] = [];
  let right = 0;
  forSeeds(500, (random) => {
    const size = 256 + random.integer(1024);
    const first = 20_000 + random.integer(20_000);
    const block = allocationOf(drawn(random, first, size));
    if (block?.pattern === 'block' && block.range) {
      right++;
      sizes.push((block.range[1] - block.range[0]) / size);
    }
  });
  expect(right).toBeGreaterThanOrEqual(498);
  const mean = sizes.reduce((sum, each) => sum + each, 0) / sizes.length;
  expect(mean).toBeGreaterThan(0.9);
  expect(mean).toBeLessThan(1.1);
});

test('ports out of the whole range are random, and their range is a range of ports', () => {
  let right = 0;
  forSeeds(500, (random, seed) => {
    const random8 = allocationOf(drawn(random, 1024, 64_512));
    if (random8?.pattern === 'random') right++;
    const [low = -1, high = -1] = random8?.range ?? [];
    expect(low, `seed ${seed}`).toBeGreaterThanOrEqual(1024);
    expect(high, `seed ${seed}`).toBeLessThanOrEqual(65_535);
  });
  expect(right).toBe(500);
});
