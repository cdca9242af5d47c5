import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import type { ByteStream } from '../../src/carrier.ts';
import { Budget } from '../../src/net/budget.ts';
import { INITIAL_WINDOW, URGENT_WINDOW } from '../../src/relay/frame.ts';
import { Mux } from '../../src/relay/mux.ts';
import { BULK_LANE, DATAGRAM_LANE, encodePreface } from '../../src/relay/preface.ts';
import { type RelayLimits, type RelayLink, RelayServer, type Usage } from '../../src/relay/server.ts';
import { Recorder } from '../support/mux-pair.ts';
import { VirtualRuntime } from '../support/virtual-runtime.ts';

/** Bytes a second: many times what passes in one piece. */
const RATE = 2 * 1024 * 1024;
const WINDOWS = 2 * (INITIAL_WINDOW + URGENT_WINDOW);
const PREFACE_SIZE = encodePreface({ link: Buffer.alloc(16), lane: BULK_LANE }).length;

const unlimited: RelayLimits = {
  bytes_per_second_per_tunnel: 0,
  buffered_bytes_per_publisher: 100 * WINDOWS,
  buffered_bytes: 100 * WINDOWS,
};

function serve(limits: Partial<RelayLimits>) {
  const runtime = new VirtualRuntime();
  const closed: Usage[] = [];
  const handler = { onBytes: () => {}, onLinkClosed: (_: RelayLink, usage: Usage) => closed.push(usage) };
  const relay = new RelayServer({ ...unlimited, ...limits }, runtime, handler);
  let lastLink = 0;
  const open = (publisher: string, subscriber = 'friend') => {
    const id = Buffer.alloc(16, ++lastLink);
    relay.openLink({ id, tunnel: 'game', token: 0, publisher, subscriber });
    return id;
  };
  return { runtime, relay, open, closed };
}

/** Gives a session its data connection; returns the streams that the server opens on it, by lane, newest last. */
function join(relay: RelayServer, runtime: VirtualRuntime, session: string) {
  const lanes: [ByteStream[], ByteStream[]] = [[], []];
  let opened = 0;
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
    onStream: (stream) => {
      const lane = opened++ % 2;
      if (lane === DATAGRAM_LANE) stream.makeUrgent();
      lanes[lane as 0 | 1].push(stream);
    },
    onClose: () => {},
  });
  relay.attach(session, socket as unknown as WebSocket, new PassThrough());
  const [bulk, datagrams] = lanes;
  return { bulk, datagrams, lose: () => socket.emit('close'), mux };
}

describe('the rate of a tunnel', () => {
  it('is not refreshed by closing the link and opening it again', () => {
    const { runtime, relay, open } = serve({ bytes_per_second_per_tunnel: RATE });
    const { bulk: published } = join(relay, runtime, 'publisher');
    const { bulk: subscribed } = join(relay, runtime, 'friend');
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

describe('the two lanes of a link', () => {
  /** A link with a recorder at each of the four ends, past the prefaces. */
  function linked(limits: Partial<RelayLimits> = {}) {
    const world = serve(limits);
    const { runtime, relay, open } = world;
    const ends = [join(relay, runtime, 'friend'), join(relay, runtime, 'publisher')] as const;
    const id = open('publisher');
    runtime.advance(10);
    const [near, far] = ends.map(({ bulk, datagrams }) => ({
      bulk: new Recorder(bulk[0] as ByteStream),
      datagrams: new Recorder(datagrams[0] as ByteStream),
    })) as [Record<'bulk' | 'datagrams', Recorder>, Record<'bulk' | 'datagrams', Recorder>];
    return { ...world, ends, id, near, far };
  }

  it('are named in their prefaces, and carry apart from one another', () => {
    const { runtime, near, far, id, relay, closed } = linked();
    near.bulk.stream.write(Buffer.from('bulk'));
    near.datagrams.stream.write(Buffer.from('datagrams'));
    far.datagrams.stream.write(Buffer.from('back'));
    runtime.advance(10);
    for (const { bulk, datagrams } of [near, far]) {
      expect(bulk.text).toContain(String(encodePreface({ link: id, lane: BULK_LANE })));
      expect(datagrams.text).toContain(String(encodePreface({ link: id, lane: DATAGRAM_LANE })));
    }
    const texts = [far.bulk, far.datagrams, near.datagrams].map(({ text }) => text.slice(PREFACE_SIZE));
    expect(texts).toEqual(['bulk', 'datagrams', 'back']);
    relay.closeLink(id);
    expect(closed).toMatchObject([{ up: 13, down: 4 }]);
  });

  it.each(['near', 'far'] as const)(
    'live apart: when the %s end refuses datagrams, the link goes on',
    (end) => {
      const { relay, runtime, closed, ...ends } = linked();
      const other = end === 'near' ? ends.far : ends.near;
      ends[end].datagrams.stream.reset();
      runtime.advance(10);
      expect([other.datagrams.events, other.bulk.events]).toEqual([['reset'], []]);
      other.bulk.stream.write(Buffer.from('still here'));
      runtime.advance(10);
      expect(ends[end].bulk.text).toContain('still here');
      expect([closed, relay.linkCount]).toEqual([[], 1]);
      relay.closeLink(ends.id);
      relay.close();
    },
  );

  it('go together when the link is over, once', () => {
    const { relay, runtime, near, far, id, closed } = linked();
    relay.closeLink(id);
    runtime.advance(10);
    const recorders = [near.bulk, near.datagrams, far.bulk, far.datagrams];
    expect(recorders.map(({ events }) => events)).toEqual(recorders.map(() => ['reset']));
    expect([closed.length, relay.linkCount]).toEqual([1, 0]);
  });

  it('go together when a data connection goes', () => {
    const { relay, runtime, ends, far, closed } = linked();
    ends[0].lose();
    runtime.advance(10);
    expect([far.bulk.events, far.datagrams.events]).toEqual([['reset'], ['reset']]);
    expect([closed.length, relay.linkCount]).toEqual([1, 0]);
  });

  it('share the rate, and datagrams go first', () => {
    const { runtime, near, far } = linked({ bytes_per_second_per_tunnel: RATE });
    near.bulk.stream.write(Buffer.alloc(4 * RATE));
    runtime.advance(1500);
    near.datagrams.stream.write(Buffer.from('now'));
    runtime.advance(20);
    expect(far.datagrams.text.slice(PREFACE_SIZE)).toBe('now');
    near.datagrams.stream.write(Buffer.alloc(4 * RATE));
    const before = far.datagrams.received + far.bulk.received;
    runtime.advance(2000);
    const passed = far.datagrams.received + far.bulk.received - before;
    expect(passed).toBeGreaterThan(1.8 * RATE);
    expect(passed).toBeLessThan(2.4 * RATE);
  });

  it('hold no more than a small window of datagrams for a reader that has stopped', () => {
    const { runtime, near, far } = linked();
    far.datagrams.consumes = false;
    far.datagrams.stream.consume(PREFACE_SIZE);
    near.datagrams.stream.write(Buffer.alloc(1024 * 1024));
    runtime.advance(5000);
    expect(far.datagrams.received).toBeLessThanOrEqual(URGENT_WINDOW + PREFACE_SIZE);
    near.bulk.stream.write(Buffer.alloc(1024 * 1024));
    runtime.advance(5000);
    expect(far.bulk.received).toBe(1024 * 1024 + PREFACE_SIZE);
  });
});
