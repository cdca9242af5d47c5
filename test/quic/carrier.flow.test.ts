import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { ByteStream } from '../../src/carrier.ts';
import { Recorder } from '../support/mux-pair.ts';
import { established, quiche, until } from '../support/quic-pair.ts';
import { Random } from '../support/random.ts';

const MIB = 1024 * 1024;

/** Writes pieces of random size as long as there is room, ends, and says what it wrote. */
function pour(recorder: Recorder, size: number, seed: number) {
  const random = new Random(seed);
  const block = random.bytes(100_000);
  const hash = createHash('sha256');
  let left = size;
  const pump = () => {
    let room = true;
    while (room && left > 0) {
      const piece = Buffer.from(block.subarray(0, Math.min(left, 1 + random.integer(block.length))));
      left -= piece.length;
      hash.update(piece);
      room = recorder.stream.write(piece, random.integer(2) === 0);
    }
    if (room && left === 0) {
      left = -1;
      recorder.stream.end();
    }
  };
  recorder.onDrain = pump;
  pump();
  return () => hash.copy().digest('hex');
}

/** Keeps only a hash of what arrives. */
function digesting(recorder: Recorder) {
  const hash = createHash('sha256');
  recorder.onData = (chunk) => {
    hash.update(chunk);
    recorder.received += chunk.length;
    recorder.stream.consume(chunk.length);
  };
  return () => hash.copy().digest('hex');
}

/** A stream with a recorder at each end, which both sides know. */
async function connected(
  pair: Awaited<ReturnType<typeof established>>,
  options: { consumes?: boolean } = {},
) {
  const near = new Recorder(pair.subscriber.open());
  let far: Recorder | undefined;
  pair.events.publisher.onStream = (stream) => {
    far = new Recorder(stream, options);
  };
  near.stream.write(Buffer.from('!'));
  await until(() => far?.received === 1);
  return { near, far: far as Recorder };
}

/** Answers each stream when it has ended. */
function answering(answer: (text: string, chunks: Buffer[]) => Buffer[]) {
  return (stream: ByteStream): void => {
    const chunks: Buffer[] = [];
    stream.attach({
      onData: (chunk) => {
        chunks.push(chunk);
        stream.consume(chunk.length);
      },
      onEnd: () => {
        for (const chunk of answer(Buffer.concat(chunks).toString(), chunks)) stream.write(chunk);
        stream.end();
      },
      onReset: () => {},
      onDrain: () => {},
    });
  };
}

/** Writes until it is told to wait, and returns how many bytes were taken. */
function fill(stream: ByteStream, most = 64 * MIB): number {
  const chunk = Buffer.alloc(16 * 1024);
  let written = 0;
  while (written < most) {
    written += chunk.length;
    if (!stream.write(chunk)) break;
  }
  return written;
}

describe.skipIf(quiche === undefined)('flow over a QUIC carrier', () => {
  it.each([
    ['64 MiB both ways', 64 * MIB, {}],
    ['2 MiB both ways through loss and disorder', 2 * MIB, { lossPercent: 5, delayMs: 2, jitterMs: 3 }],
  ])('%s arrive whole', { timeout: 30_000 }, async (_name, size, weather) => {
    const pair = await established({ weather });
    const { near, far } = await connected(pair);
    const [nearHash, farHash] = [digesting(near), digesting(far)];
    const [sentNear, sentFar] = [pour(near, size, 1), pour(far, size, 2)];
    await until(() => near.events.includes('end') && far.events.includes('end'), 25_000);
    expect([nearHash(), farHash()]).toEqual([sentFar(), sentNear()]);
    expect(pair.events.subscriber.closes.concat(pair.events.publisher.closes)).toEqual([]);
    pair.subscriber.close();
  });

  it('says drain only to a writer that was told to wait', async () => {
    const pair = await established();
    const { near, far } = await connected(pair);
    expect(near.stream.write(Buffer.alloc(100))).toBe(true);
    await until(() => far.received === 101);
    expect(near.events).toEqual([]);
    expect(near.stream.write(Buffer.alloc(200_000))).toBe(false);
    await until(() => far.received === 200_101);
    expect(near.events).toEqual(['drain']);
    pair.subscriber.close();
  });

  it('stops the writer within bounds when the reader stops, and leaves other streams alone', async () => {
    const pair = await established();
    const { near, far } = await connected(pair, { consumes: false });
    let written = fill(near.stream);
    near.onDrain = () => {
      written += fill(near.stream);
    };
    await until(() => written > 10 * MIB);
    await sleep(200);
    const stoppedAt = written;
    expect(far.received).toBeLessThanOrEqual(256 * 1024);
    // The window, what the reader holds, and what waits to be sent.
    expect(written).toBeLessThanOrEqual(10.5 * MIB);
    const other = await connected(pair);
    other.near.stream.write(Buffer.alloc(MIB));
    await until(() => other.far.received === MIB + 1);
    expect(written).toBe(stoppedAt);
    far.consumes = true;
    far.stream.consume(far.received);
    await until(() => written >= 40 * MIB);
    near.onDrain = () => {};
    await until(() => far.received === written + 1);
    pair.subscriber.close();
  });

  it('keeps what arrives before anybody attaches', async () => {
    const pair = await established();
    let stream: ByteStream | undefined;
    pair.events.publisher.onStream = (opened) => {
      stream = opened;
    };
    const sent = pour(new Recorder(pair.subscriber.open()), 3 * MIB, 1);
    await until(() => stream !== undefined);
    await sleep(50);
    const far = new Recorder(stream as ByteStream);
    expect(far.received).toBeGreaterThan(100_000);
    await until(() => far.events.includes('end'));
    expect(createHash('sha256').update(Buffer.concat(far.chunks)).digest('hex')).toBe(sent());
    pair.subscriber.close();
  });

  it('shares the way fairly among streams', async () => {
    const pair = await established({ weather: { delayMs: 2 } });
    const near = Array.from({ length: 8 }, () => new Recorder(pair.subscriber.open()));
    for (const [i, recorder] of near.entries()) pour(recorder, 8 * MIB, i);
    await until(() => pair.events.publisher.streams.some(({ received }) => received > 4 * MIB), 20_000);
    const shares = pair.events.publisher.streams.map(({ received }) => received);
    expect(Math.min(...shares) / Math.max(...shares)).toBeGreaterThan(0.6);
    pair.subscriber.close();
  });
});

describe.skipIf(quiche === undefined)('many streams over a QUIC carrier', () => {
  it('one after the other, 1000 of them', { timeout: 30_000 }, async () => {
    const pair = await established({ maxStreams: [4, 4] });
    pair.events.publisher.onStream = answering((text) => [Buffer.from(text.toUpperCase())]);
    for (let i = 0; i < 1000; i++) {
      const near = new Recorder(pair.subscriber.open());
      near.stream.write(Buffer.from(`number ${i}`));
      near.stream.end();
      await until(() => near.events.includes('end'));
      expect(near.text).toBe(`NUMBER ${i}`);
    }
    pair.subscriber.close();
  });

  it('200 at once', async () => {
    const pair = await established({ maxStreams: [200, 200] });
    pair.events.publisher.onStream = answering((_text, chunks) => chunks);
    const near = Array.from({ length: 200 }, () => new Recorder(pair.subscriber.open()));
    const sent = near.map((recorder, i) => pour(recorder, 50_000 + i, i));
    await until(() => near.every(({ events }) => events.includes('end')));
    const hashes = near.map(({ chunks }) => createHash('sha256').update(Buffer.concat(chunks)).digest('hex'));
    expect(hashes).toEqual(sent.map((hash) => hash()));
    pair.subscriber.close();
  });
});
