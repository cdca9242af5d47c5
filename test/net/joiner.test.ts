import { describe, expect, it } from 'vitest';
import { Joiner } from '../../src/net/joiner.ts';
import { forSeeds } from '../support/seeds.ts';

describe('a joiner', () => {
  it('gives the same bytes as concatenation, and never lends memory twice', () => {
    forSeeds(200, (random) => {
      const joiner = new Joiner();
      const lent: { bytes: Buffer; expected: Buffer; release(): void }[] = [];
      for (let i = 0; i < 30; i++) {
        const sizes = Array.from({ length: 1 + random.integer(5) }, () => random.pick([1, 12, 5000, 60_000]));
        const buffers = sizes.map((size) => Buffer.alloc(size, random.integer(256)));
        const from = random.integer(buffers.length);
        const joined = joiner.join(buffers, from);
        lent.push({ ...joined, expected: Buffer.concat(buffers.slice(from)) });
        if (random.integer(2) === 0) lent.shift()?.release();
        for (const { bytes, expected } of lent) expect(bytes.equals(expected)).toBe(true);
      }
    });
  });

  it('uses memory again that was released', () => {
    const joiner = new Joiner();
    const parts = [Buffer.alloc(5000), Buffer.alloc(5000)];
    const first = joiner.join(parts);
    first.release();
    expect(joiner.join(parts).bytes.buffer).toBe(first.bytes.buffer);
  });
});
