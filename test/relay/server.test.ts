import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import type { ByteStream } from '../../src/carrier.ts';
import { Budget } from '../../src/net/budget.ts';
import { INITIAL_WINDOW } from '../../src/relay/frame.ts';
import { Mux } from '../../src/relay/mux.ts';
import { BULK_LANE, encodePreface } from '../../src/relay/preface.ts';
import { type RelayLimits, RelayServer } from '../../src/relay/server.ts';
import { Recorder } from '../support/mux-pair.ts';
import { VirtualRuntime } from '../support/virtual-runtime.ts';

/** Bytes a second: many times what passes in one piece. */
const RATE = 2 * 1024 * 1024;
const WINDOWS = 2 * INITIAL_WINDOW;
const PREFACE_SIZE = encodePreface({ link: Buffer.alloc(16), lane: BULK_LANE }).length;

const unlimited: RelayLimits = {
  bytes_per_second_per_tunnel: 0,
  buffered_bytes_per_publisher: 100 * WINDOWS,
  buffered_bytes: 100 * WINDOWS,
};

function serve(limits: Partial<RelayLimits>) {
  const runtime = new VirtualRuntime();
  const handler = { onBytes: () => {}, onLinkClosed: () => {} };
  const relay = new RelayServer({ ...unlimited, ...limits }, runtime, handler);
  let lastLink = 0;
  const open = (publisher: string, subscriber = 'friend') => {
    const id = Buffer.alloc(16, ++lastLink);
    relay.openLink({ id, tunnel: 'game', token: 0, publisher, subscriber });
    return id;
  };
  return { runtime, relay, open };
}

/** Gives a session its data connection; returns the streams that the server opens on it, newest last. */
function join(relay: RelayServer, runtime: VirtualRuntime, session: string): ByteStream[] {
  const streams: ByteStream[] = [];
  const pipe = (to: (bytes: Buffer) => void) => (bytes: Buffer, sent?: () => void) => {
    const copy = Buffer.from(bytes);
    runtime.setTimer(0, () => sent?.());
    runtime.setTimer(1, () => to(copy));
  };
  const toClient = pipe((bytes) => mux.receive(bytes));
  const toServer = pipe((bytes) => socket.emit('message', bytes, true));
  const socket = Object.assign(new EventEmitter(), {
    send: (bytes: Buffer, _options: object, sent?: () => void) => toClient(bytes, sent),
    close: () => socket.emit('close'),
  });
  const options = {
    role: 'server',
    maxInbound: 10,
    maxWindow: 1 << 20,
    budget: new Budget(1 << 30),
  } as const;
  const transport = {
    send: (buffers: Buffer[], sent: () => void) => toServer(Buffer.concat(buffers), sent),
    close: () => {},
  };
  const mux: Mux = new Mux(options, transport, runtime, {
    onStream: (stream) => streams.push(stream),
    onClose: () => {},
  });
  relay.attach(session, socket as unknown as WebSocket, new PassThrough());
  return streams;
}

describe('the rate of a tunnel', () => {
  it('is not refreshed by closing the link and opening it again', () => {
    const { runtime, relay, open } = serve({ bytes_per_second_per_tunnel: RATE });
    const published = join(relay, runtime, 'publisher');
    const subscribed = join(relay, runtime, 'friend');
    /** Bytes that arrive within so many milliseconds after a new link has been made full use of. */
    const passes = (milliseconds: number) => {
      const id = open('publisher');
      runtime.advance(10);
      const recorder = new Recorder(published.at(-1) as ByteStream);
      const near = subscribed.at(-1) as ByteStream;
      new Recorder(near);
      near.write(Buffer.alloc(2 * RATE));
      runtime.advance(milliseconds);
      relay.closeLink(id);
      runtime.advance(10);
      return recorder.received - PREFACE_SIZE;
    };
    const first = passes(100);
    expect(first).toBeGreaterThanOrEqual(RATE);
    // The first piece passes before anybody looks at the rate.
    expect(passes(100)).toBeLessThan(RATE / 2);
    runtime.advance(3000);
    expect(passes(100)).toBe(first);
    relay.close();
  });
});

describe('room for one more link', () => {
  it('is there while its windows fit into what its publisher may use', () => {
    const { relay, open } = serve({ buffered_bytes_per_publisher: 2 * WINDOWS });
    open('a');
    expect(relay.hasRoom('a')).toBe(true);
    const second = open('a');
    expect(relay.hasRoom('a')).toBe(false);
    expect(relay.hasRoom('b')).toBe(true);
    relay.closeLink(second);
    expect(relay.hasRoom('a')).toBe(true);
  });

  it('is there while its windows fit into what all may use', () => {
    const { relay, open } = serve({ buffered_bytes: 2 * WINDOWS });
    open('a');
    expect(relay.hasRoom('b')).toBe(true);
    open('b');
    expect(relay.hasRoom('c')).toBe(false);
  });
});
