import { describe, expect, it } from 'vitest';
import type { ByteStream } from '../../src/carrier.ts';
import { Bridge } from '../../src/relay/bridge.ts';
import { INITIAL_WINDOW } from '../../src/relay/frame.ts';
import { TokenBucket } from '../../src/relay/token-bucket.ts';
import { muxPair, Recorder } from '../support/mux-pair.ts';
import { VirtualRuntime } from '../support/virtual-runtime.ts';

/** Two clients, each with a stream that the server opened, and the server's bridge between them. */
function bridged(rate = 0, owed = 0) {
  const runtime = new VirtualRuntime();
  const [left, right] = [muxPair(runtime), muxPair(runtime)];
  const [near, far] = [left, right].map(({ client, server }) => {
    const inner = client.mux.open() as ByteStream;
    runtime.advance(10);
    return { inner, outer: new Recorder(server.accepted[0] as ByteStream) };
  }) as [{ inner: ByteStream; outer: Recorder }, { inner: ByteStream; outer: Recorder }];
  const bucket = new TokenBucket(rate, runtime.now());
  bucket.take(owed, runtime.now());
  const seen = { up: 0, down: 0, closed: 0 };
  const bridge = new Bridge(near.inner, far.inner, {
    gate: { pass: (bytes) => bucket.take(bytes, runtime.now()) },
    wait: (milliseconds, callback) => runtime.setTimer(milliseconds, callback),
    onBytes: (direction, bytes) => {
      seen[direction] += bytes;
    },
    onClose: () => {
      seen.closed += 1;
    },
  });
  return { runtime, left, right, near: near.outer, far: far.outer, bridge, seen };
}

/** Keeps a stream as full as it lets us. Returns what was written so far. */
function writeOn(recorder: Recorder, total = Number.POSITIVE_INFINITY): () => number {
  let written = 0;
  const pump = () => {
    let room = true;
    while (room && written < total) {
      const size = Math.min(16_384, total - written);
      written += size;
      room = recorder.stream.write(Buffer.alloc(size));
    }
  };
  recorder.onDrain = pump;
  pump();
  return () => written;
}

describe('a bridge', () => {
  it('copies both ways, counts, and closes after both ends', () => {
    const { runtime, near, far, seen } = bridged();
    near.stream.write(Buffer.from('hello'));
    far.stream.write(Buffer.from('you'));
    near.stream.end();
    runtime.advance(100);
    expect([far.text, far.events, near.text, near.events]).toEqual(['hello', ['end'], 'you', []]);
    far.stream.write(Buffer.from(' too'));
    far.stream.end();
    runtime.advance(100);
    expect([near.text, near.events]).toEqual(['you too', ['end']]);
    expect(seen).toEqual({ up: 5, down: 7, closed: 1 });
  });

  it('carries megabytes through both directions at once', () => {
    const { runtime, near, far } = bridged();
    writeOn(near, 5_000_000);
    writeOn(far, 5_000_000);
    runtime.advance(5000);
    expect([near.received, far.received]).toEqual([5_000_000, 5_000_000]);
  });

  it('stops the writer within bounds when the reader stops', () => {
    const { runtime, near, far, seen, left, right } = bridged();
    far.consumes = false;
    const written = writeOn(near);
    runtime.advance(8000);
    expect(far.received).toBe(INITIAL_WINDOW);
    expect(written()).toBeLessThan(2 * INITIAL_WINDOW + 512 * 1024);
    expect(seen.up - far.received).toBeLessThanOrEqual(INITIAL_WINDOW + 64 * 1024);
    const before = seen.up;
    runtime.advance(60_000);
    expect(seen.up).toBe(before);
    expect(left.client.closes.concat(right.client.closes)).toEqual([]);
    far.consumes = true;
    far.stream.consume(far.received);
    runtime.advance(1000);
    expect(seen.up).toBeGreaterThan(before);
  });

  it('resets both when one is reset, once', () => {
    const { runtime, near, far, seen, left, right } = bridged();
    near.stream.write(Buffer.from('x'));
    runtime.advance(100);
    near.stream.reset();
    runtime.advance(100);
    expect([far.events, seen.closed]).toEqual([['reset'], 1]);
    expect([left.client.budget.used, right.client.budget.used]).toEqual([0, 0]);
  });

  it('resets the other side when one connection is lost', () => {
    const { runtime, far, seen, left } = bridged();
    left.client.mux.lost();
    runtime.advance(100);
    expect([far.events, seen.closed]).toEqual([['reset'], 1]);
  });

  it('is reset from outside', () => {
    const { runtime, near, far, bridge, seen } = bridged();
    bridge.reset();
    bridge.reset();
    runtime.advance(100);
    expect([near.events, far.events, seen.closed]).toEqual([['reset'], ['reset'], 1]);
  });

  it('keeps to the rate after a burst of one second', () => {
    const rate = 1_000_000;
    const { runtime, near, far } = bridged(rate);
    writeOn(near);
    runtime.advance(1000);
    const early = far.received;
    expect(early).toBeLessThanOrEqual(2 * rate + 3 * INITIAL_WINDOW);
    runtime.advance(10_000);
    const speed = (far.received - early) / 10;
    expect(speed).toBeGreaterThan(0.9 * rate);
    expect(speed).toBeLessThan(1.1 * rate);
  });

  it('keeps to the rate however far the window had grown before, and ends behind the last byte', () => {
    const rate = 1_000_000;
    const { runtime, near, far, seen } = bridged(rate);
    runtime.advance(1000);
    const written = writeOn(near, 5 * rate);
    const pump = near.onDrain;
    near.onDrain = () => {
      pump();
      if (written() === 5 * rate) near.stream.end();
    };
    for (let second = 1; second <= 3; second++) {
      runtime.advance(1000);
      expect(far.received).toBeLessThanOrEqual((second + 1) * rate + 128 * 1024);
      expect(seen.up - far.received).toBeLessThan(INITIAL_WINDOW);
    }
    expect(far.events).toEqual([]);
    runtime.advance(1500);
    expect([far.received, far.events]).toEqual([5 * rate, ['end']]);
  });

  it('lets the other direction live on after an end while the gate was shut', () => {
    const { runtime, near, far, seen } = bridged(10_000);
    near.stream.write(Buffer.alloc(15_000));
    near.stream.end();
    runtime.advance(10_000);
    expect([far.received, far.events, seen.closed]).toEqual([15_000, ['end'], 0]);
    far.stream.write(Buffer.from('thanks'));
    far.stream.end();
    runtime.advance(10_000);
    expect([near.text, near.events, seen.closed]).toEqual(['thanks', ['end'], 1]);
  });

  it('waits out what other links of the tunnel owe before its first byte', () => {
    const { runtime, near, far } = bridged(10_000, 15_000);
    near.stream.write(Buffer.alloc(100));
    runtime.advance(450);
    expect(far.received).toBe(0);
    runtime.advance(100);
    expect(far.received).toBe(100);
  });

  it('drops what waits for the gate when it is reset', () => {
    const { runtime, near, far, seen, bridge } = bridged(10_000);
    writeOn(near, 200_000);
    runtime.advance(1000);
    const { up } = seen;
    bridge.reset();
    runtime.advance(60_000);
    expect([seen.up, far.events.at(-1)]).toEqual([up, 'reset']);
  });

  it('lets the other direction alone share the rate fairly, and a slow one still moves', () => {
    const { runtime, near, far } = bridged(10_000);
    writeOn(near, 40_000);
    runtime.advance(10_000);
    expect(far.received).toBe(40_000);
    far.stream.write(Buffer.from('back'));
    runtime.advance(10);
    expect(near.text).toBe('back');
  });
});
