import { describe, expect, it } from 'vitest';
import { ByteQueue } from '../../src/net/byte-queue.ts';
import { Random } from '../support/random.ts';
import { ensure, forSeeds } from '../support/seeds.ts';

function takeAll(queue: ByteQueue, limit = Number.POSITIVE_INFINITY): Buffer {
  const chunks: Buffer[] = [];
  const size = queue.take(limit, chunks);
  const bytes = Buffer.concat(chunks);
  ensure(bytes.length === size, 'take says how much it took');
  return bytes;
}

describe('a byte queue', () => {
  it('is a buffer that bytes are added to and taken from', () => {
    const source = new Random(7).bytes(40_000);
    forSeeds(2000, (random) => {
      const queue = new ByteQueue();
      let model = Buffer.alloc(0);
      for (let i = 0; i < 60; i++) {
        if (random.integer(5) < 3) {
          const at = random.integer(20_000);
          const chunk = source.subarray(at, at + random.pick([0, 1, 10, 100, 2047, 2048, 2049, 9000]));
          queue.push(chunk);
          model = Buffer.concat([model, chunk]);
        } else if (random.integer(40) === 0) {
          queue.clear();
          model = Buffer.alloc(0);
        } else {
          const limit = random.pick([0, 1, 50, 2000, 20_000, Number.POSITIVE_INFINITY]);
          const bytes = takeAll(queue, limit);
          ensure(bytes.equals(model.subarray(0, limit)), 'what comes out went in');
          model = model.subarray(bytes.length);
        }
        ensure(queue.length === model.length, 'it knows its length');
      }
      expect(takeAll(queue).equals(model)).toBe(true);
    });
  });

  it('never changes bytes that it has handed out', () => {
    const queue = new ByteQueue();
    queue.push(Buffer.from('first'));
    queue.push(Buffer.from('abc'));
    const chunks: Buffer[] = [];
    queue.take(7, chunks);
    for (let i = 0; i < 5000; i++) queue.push(Buffer.from('xyz'));
    expect(Buffer.concat(chunks).toString()).toBe('firstab');
  });

  it('hands a large chunk out without a copy', () => {
    const queue = new ByteQueue();
    const chunk = Buffer.alloc(10_000);
    queue.push(Buffer.from('small'));
    queue.push(chunk);
    const chunks: Buffer[] = [];
    queue.take(10_005, chunks);
    expect(chunks.at(-1)).toBe(chunk);
  });

  it.each([1, 17, 500, 2048, 2049, 8000])(
    'does not pin the buffers that stalled pieces of %i bytes came from',
    (size) => {
      const queue = new ByteQueue();
      const total = 64 * 1024;
      for (let bytes = 0; bytes < total; bytes += size)
        queue.push(Buffer.allocUnsafeSlow(64 * 1024).subarray(0, size));
      const chunks: Buffer[] = [];
      queue.take(Number.POSITIVE_INFINITY, chunks);
      const pinned = new Set(chunks.map(({ buffer }) => buffer));
      const held = [...pinned].reduce((sum, { byteLength }) => sum + byteLength, 0);
      expect(held).toBeLessThan(8 * total);
    },
  );

  it('lets go of what it has handed out, though it never runs empty', async () => {
    const queue = new ByteQueue();
    const first = new WeakRef(pushed(queue));
    for (let i = 0; i < 10; i++) {
      pushed(queue);
      takeAll(queue, 100_000);
    }
    expect(queue.length).toBe(100_000);
    await collectGarbage();
    expect(first.deref()).toBeUndefined();
  });
});

function pushed(queue: ByteQueue): ArrayBufferLike {
  const chunk = Buffer.allocUnsafeSlow(100_000);
  queue.push(chunk);
  return chunk.buffer;
}

async function collectGarbage(): Promise<void> {
  const { setFlagsFromString } = await import('node:v8');
  const { runInNewContext } = await import('node:vm');
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  // A WeakRef holds on until the current job is over.
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
}
