import { describe, expect, it } from 'vitest';
import type { ByteStream } from '../../src/carrier.ts';
import { INITIAL_WINDOW } from '../../src/relay/frame.ts';
import { type MuxEnd, muxPair, Recorder } from '../support/mux-pair.ts';
import { VirtualRuntime } from '../support/virtual-runtime.ts';

function opened(end: MuxEnd): ByteStream {
  const stream = end.mux.open();
  if (stream === undefined) throw new Error('the mux is closed');
  return stream;
}

/** A stream with a recorder at each end, open on both sides. */
function connected(options: { consumes?: boolean } = {}) {
  const runtime = new VirtualRuntime();
  const { client, server } = muxPair(runtime);
  const near = new Recorder(opened(client));
  let far: Recorder | undefined;
  server.onStream = (stream) => {
    far = new Recorder(stream, options);
  };
  runtime.advance(10);
  if (far === undefined) throw new Error('no stream arrived');
  return { runtime, client, server, near, far };
}

/** Writes until it is told to wait, and returns how many bytes were taken. */
function fill(stream: ByteStream, most = 10 * 1024 * 1024): number {
  const chunk = Buffer.alloc(16 * 1024);
  let written = 0;
  while (written < most) {
    written += chunk.length;
    if (!stream.write(chunk)) break;
  }
  return written;
}

describe('a mux', () => {
  it('carries bytes both ways, with half-close', () => {
    const { runtime, near, far, client, server } = connected();
    near.stream.write(Buffer.from('question'));
    near.stream.end();
    runtime.advance(10);
    expect([far.text, far.events]).toEqual(['question', ['end']]);
    far.stream.write(Buffer.from('answer'), true);
    far.stream.write(Buffer.from('!'));
    far.stream.end();
    runtime.advance(10);
    expect([near.text, near.events]).toEqual(['answer!', ['end']]);
    expect([client.mux.streamCount, server.mux.streamCount]).toEqual([0, 0]);
    expect([client.budget.used, server.budget.used]).toEqual([0, 0]);
  });

  it('says drain only to a writer that was told to wait', () => {
    const { runtime, near } = connected();
    expect(near.stream.write(Buffer.alloc(100))).toBe(true);
    runtime.advance(100);
    expect(near.events).toEqual([]);
    const room = near.stream.write(Buffer.alloc(200_000));
    runtime.advance(100);
    expect(near.events).toEqual(room ? [] : ['drain']);
  });

  it('carries on whenever a write is followed by its drain', () => {
    const { runtime, near, far } = connected();
    let left = 3_000_000;
    const pump = () => {
      let room = true;
      while (room && left > 0) {
        const size = Math.min(left, 65_540);
        left -= size;
        room = near.stream.write(Buffer.alloc(size));
      }
    };
    near.onDrain = pump;
    pump();
    runtime.advance(5000);
    expect([left, far.received]).toEqual([0, 3_000_000]);
  });

  it('stops the writer within bounds when the reader stops', () => {
    const { runtime, near, far } = connected({ consumes: false });
    let written = 0;
    near.onDrain = () => {
      written += fill(near.stream);
    };
    written += fill(near.stream);
    runtime.advance(9000);
    expect(far.received).toBe(INITIAL_WINDOW);
    expect(written).toBeLessThanOrEqual(INITIAL_WINDOW + 256 * 1024);
    far.stream.consume(far.received);
    runtime.advance(1000);
    expect(far.received).toBeGreaterThan(INITIAL_WINDOW);
  });

  it('stops the writer within bounds when the transport stops, and stalls nobody for good', () => {
    const { runtime, near, far, client } = connected();
    client.wire.stalled = true;
    let written = fill(near.stream);
    runtime.advance(5000);
    expect(written).toBeLessThanOrEqual(256 * 1024);
    client.wire.resume();
    runtime.advance(1000);
    expect(near.events).toEqual(['drain']);
    written += fill(near.stream);
    runtime.advance(1000);
    expect(far.received).toBe(written);
  });

  it('keeps an idle stream open, by pings, and knows the round trip', () => {
    const { runtime, near, client, server } = connected();
    runtime.advance(10 * 60_000);
    expect([client.closes, server.closes]).toEqual([[], []]);
    expect(client.mux.rtt).toBeCloseTo(2);
    near.stream.write(Buffer.from('still here'));
    runtime.advance(10);
    expect(server.accepted).toHaveLength(1);
  });

  it('gives a silent peer up after 10 s', () => {
    const { runtime, near, client, server } = connected();
    runtime.advance(100);
    server.wire.stalled = true;
    runtime.advance(30_000 + 10_000 + 10);
    expect(client.closes).toEqual([{ reason: 'timeout', problem: undefined }]);
    expect(near.events).toEqual(['reset']);
    expect(client.wire.closed).toBe(true);
    expect(client.budget.used).toBe(0);
  });

  it('resets streams, and gives back what they held, when the transport is lost', () => {
    const { near, client } = connected();
    client.mux.lost();
    client.mux.lost();
    expect(client.closes).toEqual([{ reason: 'lost', problem: undefined }]);
    expect(near.events).toEqual(['reset']);
    expect([client.budget.used, client.mux.streamCount]).toEqual([0, 0]);
    expect(client.mux.open()).toBeUndefined();
    expect(near.stream.write(Buffer.alloc(1))).toBe(true);
  });

  it('closes with a goodbye that the other side understands', () => {
    const { runtime, near, far, client, server } = connected();
    client.mux.close();
    client.mux.close();
    expect(near.events).toEqual(['reset']);
    runtime.advance(10);
    expect(far.events).toEqual(['reset']);
    expect([client.closes, server.closes].flat()).toMatchObject([{ reason: 'closed' }, { reason: 'left' }]);
    expect(runtime.pendingTimers).toBe(0);
  });

  it('names what broke the protocol', () => {
    const { server, client, runtime } = connected();
    server.mux.receive(Buffer.alloc(12, 7));
    expect(server.closes).toEqual([{ reason: 'protocol', problem: 'version 7' }]);
    runtime.advance(10);
    expect(client.closes).toEqual([{ reason: 'closed', problem: undefined }]);
  });

  it('keeps what arrives before anybody attaches, within the window', () => {
    const runtime = new VirtualRuntime();
    const { client, server } = muxPair(runtime);
    const stream = opened(client);
    let written = fill(stream, 2_000_000);
    for (let i = 0; i < 100; i++) {
      runtime.advance(10);
      if (written < 2_000_000) written += fill(stream, 16_384);
    }
    const far = new Recorder(server.accepted[0] as ByteStream);
    expect(far.received).toBe(INITIAL_WINDOW);
    stream.end();
    runtime.advance(1000);
    expect(far.received).toBe(written);
    expect(far.events).toEqual(['end']);
  });

  it('tells a late handler what has happened to its stream', () => {
    const runtime = new VirtualRuntime();
    const { client, server } = muxPair(runtime);
    const [ended, reset] = [opened(client), opened(client)];
    for (const stream of [ended, reset]) stream.write(Buffer.from('hi'));
    ended.end();
    runtime.advance(10);
    reset.reset();
    runtime.advance(10);
    const [one, two] = server.accepted.map((stream) => new Recorder(stream));
    expect([one?.text, one?.events]).toEqual(['hi', ['end']]);
    expect(two?.events).toEqual(['reset']);
  });

  it('tells a handler nothing more once it has reset its stream', () => {
    const runtime = new VirtualRuntime();
    const { client, server } = muxPair(runtime);
    const stream = opened(client);
    for (let i = 0; i < 3; i++) stream.write(Buffer.alloc(5000));
    stream.end();
    runtime.advance(10);
    const far = server.accepted[0] as ByteStream;
    const calls: string[] = [];
    far.attach({
      onData: () => {
        calls.push('data');
        far.reset();
      },
      onEnd: () => calls.push('end'),
      onReset: () => calls.push('reset'),
      onDrain: () => calls.push('drain'),
    });
    runtime.advance(10);
    expect(calls).toEqual(['data']);
  });

  it('can be closed from inside a handler', () => {
    const { runtime, near, far, server } = connected();
    far.onData = () => server.mux.close();
    near.stream.write(Buffer.from('go'));
    runtime.advance(10);
    expect(server.closes).toHaveLength(1);
    expect([near.events, far.events]).toEqual([['reset'], ['reset']]);
  });
});
