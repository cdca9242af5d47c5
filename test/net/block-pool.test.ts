import { expect, it } from 'vitest';
import { BLOCK_SIZE, BlockPool } from '../../src/net/block-pool.ts';

it('gives the same memory again', () => {
  const pool = new BlockPool();
  const blocks = [pool.take(), pool.take()];
  expect(blocks.map(({ length }) => length)).toEqual([BLOCK_SIZE, BLOCK_SIZE]);
  for (let i = 0; i < 100; i++) {
    const block = blocks.shift() as Buffer;
    pool.give(block);
    blocks.push(pool.take());
    expect(blocks.at(-1)).toBe(block);
  }
});

it('keeps nothing when nothing is in use', () => {
  const pool = new BlockPool();
  const [first, second] = [pool.take(), pool.take()];
  pool.give(first);
  pool.give(second);
  expect([first, second]).not.toContain(pool.take());
});

it('does not use again what may still be read', () => {
  const pool = new BlockPool();
  const [first, second] = [pool.take(), pool.take()];
  pool.abandon();
  pool.give(second);
  expect([first, second]).not.toContain(pool.take());
});

it('does not keep for little what much has needed', () => {
  const pool = new BlockPool();
  const blocks = Array.from({ length: 200 }, () => pool.take());
  for (const block of blocks.slice(1)) pool.give(block);
  const again = Array.from({ length: 200 }, () => pool.take());
  expect(again.filter((block) => blocks.includes(block))).toHaveLength(16);
});
