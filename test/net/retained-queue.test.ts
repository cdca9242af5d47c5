import { describe, expect, it } from 'vitest';
import { RetainedQueue } from '../../src/net/retained-queue.ts';
import { Random } from '../support/random.ts';
import { ensure, forSeeds } from '../support/seeds.ts';

function take(queue: RetainedQueue, limit = Number.POSITIVE_INFINITY): Buffer {
  const chunks: Buffer[] = [];
  const size = queue.take(limit, chunks);
  const bytes = Buffer.concat(chunks);
  ensure(bytes.length === size, 'take says how much it took');
  ensure(
    chunks.every(({ length }) => length > 0),
    'it hands out no empty pieces',
  );
  return bytes;
}

describe('a queue of retained bytes', () => {
  it('is a buffer with two marks in it', () => {
    const source = new Random(7).bytes(100_000);
    forSeeds(3000, (random) => {
      const queue = new RetainedQueue();
      let all = Buffer.alloc(0);
      let [start, cursor] = [0, 0];
      for (let i = 0; i < 80; i++) {
        switch (random.integer(random.pick([6, 7])) as number) {
          case 0: {
            start += random.integer(all.length - start + 1);
            cursor = Math.max(cursor, start);
            const before = queue.length;
            ensure(queue.acknowledge(start) === before - (all.length - start), 'it says how much it gave up');
            break;
          }
          case 1: {
            ensure(queue.acknowledge(random.integer(start + 1)) === 0, 'an old acknowledgement is none');
            if (random.integer(3) === 0) {
              queue.rewind();
              cursor = start;
            }
            break;
          }
          case 2: {
            const limit = random.pick([0, 1, 50, 2000, 20_000, Number.POSITIVE_INFINITY]);
            const bytes = take(queue, limit);
            ensure(bytes.equals(all.subarray(cursor, cursor + limit)), 'what comes out went in');
            cursor += bytes.length;
            break;
          }
          case 6:
            if (random.integer(10) > 0) break;
            queue.clear();
            [start, cursor] = [all.length, all.length];
            break;
          default: {
            const at = random.integer(20_000);
            const chunk = source.subarray(
              at,
              at + random.pick([0, 1, 10, 100, 2047, 2048, 2049, 9000, 70_000]),
            );
            queue.push(chunk);
            all = Buffer.concat([all, chunk]);
          }
        }
        ensure(
          queue.start === start && queue.cursor === cursor && queue.end === all.length,
          'it knows where it is',
        );
        ensure(
          queue.length === all.length - start && queue.ahead === all.length - cursor,
          'it knows how much it has',
        );
      }
      queue.rewind();
      expect(take(queue).equals(all.subarray(start))).toBe(true);
    });
  });

  it('never changes bytes that it has handed out', () => {
    const queue = new RetainedQueue();
    queue.push(Buffer.from('first'));
    queue.push(Buffer.from('abc'));
    const chunks: Buffer[] = [];
    queue.take(7, chunks);
    for (let i = 0; i < 5000; i++) queue.push(Buffer.from('xyz'));
    queue.acknowledge(6);
    expect(Buffer.concat(chunks).toString()).toBe('firstab');
  });

  it('keeps a large chunk as it is, and hands it out as often as asked', () => {
    const queue = new RetainedQueue();
    const chunk = Buffer.alloc(10_000);
    queue.push(Buffer.from('small'));
    queue.push(chunk);
    for (let i = 0; i < 3; i++) {
      const chunks: Buffer[] = [];
      queue.take(10_005, chunks);
      expect(chunks.at(-1)).toBe(chunk);
      queue.rewind();
    }
  });

  it('leaves alone what was handed out when it is cleared', () => {
    const queue = new RetainedQueue();
    for (const letter of ['a', 'b', 'c']) queue.push(Buffer.alloc(5000, letter));
    const chunks: Buffer[] = [];
    queue.take(15_000, chunks);
    queue.clear();
    expect(Buffer.concat(chunks).toString()).toMatch(/^a{5000}b{5000}c{5000}$/);
  });

  it('keeps small chunks in little memory', () => {
    const queue = new RetainedQueue();
    for (let i = 0; i < 1000; i++) queue.push(Buffer.alloc(65_536).subarray(0, 100));
    const chunks: Buffer[] = [];
    queue.take(Number.POSITIVE_INFINITY, chunks);
    const memories = new Set(chunks.map(({ buffer }) => buffer));
    const held = [...memories].reduce((sum, { byteLength }) => sum + byteLength, 0);
    expect(held).toBeLessThan(2 * 100_000);
  });
});
