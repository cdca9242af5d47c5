import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { ByteStream } from '../../src/carrier.ts';
import { StreamDuplex } from '../../src/relay/duplex.ts';
import { INITIAL_WINDOW } from '../../src/relay/frame.ts';
import { muxPair, Recorder } from '../support/mux-pair.ts';
import { VirtualRuntime } from '../support/virtual-runtime.ts';

function duplexAndPeer() {
  const runtime = new VirtualRuntime();
  const pair = muxPair(runtime);
  const near = pair.client.mux.open() as ByteStream;
  runtime.advance(10);
  const duplex = new StreamDuplex(near);
  const peer = new Recorder(pair.server.accepted[0] as ByteStream);
  const settle = async (turns = 30) => {
    for (let i = 0; i < turns; i++) {
      runtime.advance(2);
      await turn();
    }
  };
  return { ...pair, runtime, duplex, peer, settle };
}

describe('a stream as a Duplex', () => {
  it('carries bytes both ways, with half-close', async () => {
    const { duplex, peer, settle } = duplexAndPeer();
    const chunks: Buffer[] = [];
    duplex.on('data', (chunk: Buffer) => chunks.push(chunk));
    let ended = false;
    duplex.on('end', () => {
      ended = true;
    });
    peer.stream.write(Buffer.from('hello'));
    peer.stream.end();
    await settle();
    expect([Buffer.concat(chunks).toString(), ended]).toEqual(['hello', true]);
    duplex.write('still ');
    duplex.end('open');
    await settle();
    expect([peer.text, peer.events]).toEqual(['still open', ['end']]);
  });

  it('loses nothing when it closes itself after both ends, however much is on its way', async () => {
    const { duplex, peer, settle, client, server } = duplexAndPeer();
    peer.consumes = false;
    duplex.resume();
    peer.stream.end();
    duplex.end(Buffer.alloc(INITIAL_WINDOW + 20_000));
    await settle();
    expect(peer.received).toBe(INITIAL_WINDOW);
    peer.consumes = true;
    peer.stream.consume(peer.received);
    await settle();
    expect([peer.received, peer.events]).toEqual([INITIAL_WINDOW + 20_000, ['end']]);
    expect([client.mux.streamCount, server.mux.streamCount]).toEqual([0, 0]);
  });

  it('stops the peer when nobody reads, and lets it go on', async () => {
    const { duplex, peer, settle } = duplexAndPeer();
    let written = 0;
    peer.onDrain = () => {
      while (peer.stream.write(Buffer.alloc(20_000))) written += 20_000;
    };
    peer.onDrain();
    await settle();
    expect(duplex.readableLength).toBeLessThanOrEqual(2 * INITIAL_WINDOW);
    const before = written;
    let read = 0;
    duplex.on('data', (chunk: Buffer) => {
      read += chunk.length;
    });
    await settle();
    expect(read).toBeGreaterThan(INITIAL_WINDOW);
    expect(written).toBeGreaterThan(before);
  });

  it('tells its writer to wait, and calls back when there is room', async () => {
    const { duplex, peer, settle } = duplexAndPeer();
    peer.consumes = false;
    let called = 0;
    for (let i = 0; i < 50; i++) duplex.write(Buffer.alloc(20_000), () => (called += 1));
    await settle();
    expect(called).toBeLessThan(30);
    peer.consumes = true;
    peer.stream.consume(peer.received);
    await settle(100);
    expect(called).toBe(50);
    expect(peer.received).toBe(1_000_000);
  });

  it('is destroyed by a reset, and resets when destroyed', async () => {
    const one = duplexAndPeer();
    let closed = false;
    one.duplex.on('close', () => {
      closed = true;
    });
    one.peer.stream.reset();
    await one.settle();
    expect([closed, one.duplex.destroyed]).toEqual([true, true]);
    const other = duplexAndPeer();
    other.duplex.destroy();
    await other.settle();
    expect(other.peer.events).toEqual(['reset']);
    expect(other.client.budget.used).toBe(0);
  });

  it('ends its pending write when it is destroyed', async () => {
    const { duplex, peer, settle } = duplexAndPeer();
    peer.consumes = false;
    let failed: unknown;
    duplex.write(Buffer.alloc(500_000));
    duplex.write(Buffer.alloc(500_000), (error) => {
      failed = error;
    });
    await settle();
    duplex.destroy();
    await settle();
    expect(failed).toBeInstanceOf(Error);
  });
});
