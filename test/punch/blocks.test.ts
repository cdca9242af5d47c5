import { expect, test } from 'vitest';
import { aimAt, isWorthMeeting, meetingChance, socketsFor } from '../../src/punch/blocks.ts';
import { ensure, forSeeds } from '../support/seeds.ts';

test.each([
  [128, 192],
  [200, 300],
  [512, 384],
  [2048, 384],
])('for a block of %i ports %i sockets', (block, sockets) => {
  expect(socketsFor(block)).toBe(sockets);
});

test.each([
  [128, 128, 1],
  [256, 512, 0.996],
  [512, 512, 0.963],
  [1024, 1024, 0.454],
  [2048, 2048, 0.134],
])('blocks of %i and %i ports meet with a chance of %f', (one, other, chance) => {
  expect(meetingChance(one, other)).toBeCloseTo(chance, 2);
  expect(meetingChance(other, one)).toBe(meetingChance(one, other));
  expect(isWorthMeeting(one, other)).toBe(chance > 0.4);
});

test('what is aimed at lies in the middle, where the block surely is', () => {
  const seen = new Set<number>();
  forSeeds(200, (random) => {
    const targets = aimAt({ first: 20_480, last: 20_991 }, (size) => random.bytes(size));
    ensure(new Set(targets).size === 2, 'two of them');
    for (const port of targets) {
      ensure(port >= 20_608 && port <= 20_863, `${port}`);
      seen.add(port);
    }
  });
  expect(seen.size).toBeGreaterThan(150);
});

test('a block of one port is aimed at once', () => {
  forSeeds(3, (random) => {
    expect(aimAt({ first: 5000, last: 5000 }, (size) => random.bytes(size))).toEqual([5000]);
  });
});
