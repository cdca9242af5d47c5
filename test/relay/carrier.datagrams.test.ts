import { describe, expect, it } from 'vitest';
import { UnderpassError } from '../../src/errors.ts';
import { pinnedTls } from '../../src/net/tls.ts';
import { RelayCarrier } from '../../src/relay/carrier.ts';
import { MAX_DATAGRAM } from '../../src/relay/datagram-record.ts';
import { StreamDuplex } from '../../src/relay/duplex.ts';
import { carriers, Events, established, ours, outer, stranger, theirs } from '../support/carrier-pair.ts';
import { Recorder } from '../support/mux-pair.ts';
import { Random } from '../support/random.ts';
import { mutate } from '../support/seeds.ts';

/** Sends while it is let, and returns how many were taken. */
function fill(carrier: RelayCarrier, size: number, most = 10_000): number {
  let taken = 0;
  while (taken < most && carrier.sendDatagram(Buffer.alloc(size, taken))) taken += 1;
  return taken;
}

describe('the datagrams of a relay carrier', () => {
  it('keep their boundaries, both ways, up to the longest', async () => {
    const { subscriber, publisher, events, settle } = await established({ datagrams: true });
    expect([subscriber.maxDatagram, publisher.maxDatagram]).toEqual([MAX_DATAGRAM, MAX_DATAGRAM]);
    expect([events.subscriber.rooms, events.publisher.rooms]).toEqual([1, 1]);
    const sent = [Buffer.from('a'), Buffer.from('bc'), Buffer.alloc(1200, 3)];
    for (const datagram of sent) expect(subscriber.sendDatagram(datagram)).toBe(true);
    expect(publisher.sendDatagram(Buffer.alloc(MAX_DATAGRAM, 4))).toBe(true);
    await settle();
    expect(events.publisher.datagrams).toEqual(sent);
    expect(events.subscriber.datagrams).toEqual([Buffer.alloc(MAX_DATAGRAM, 4)]);
  });

  it('are none where there is no lane', async () => {
    const { subscriber } = await established();
    expect([subscriber.maxDatagram, subscriber.sendDatagram(Buffer.from('x'))]).toEqual([0, false]);
  });

  it.each(['subscriber', 'publisher'] as const)(
    'are none where the %s wants none; the rest works',
    async (end) => {
      const world = await established({ datagrams: true, refuses: end });
      const { subscriber, publisher, client, server, events, settle } = world;
      await settle();
      expect([subscriber.maxDatagram, publisher.maxDatagram]).toEqual([0, 0]);
      expect([client.mux.streamCount, server.mux.streamCount]).toEqual([1, 1]);
      new Recorder(subscriber.open()).stream.write(Buffer.from('hello'));
      await settle();
      expect(events.publisher.streams[0]?.text).toBe('hello');
    },
  );

  it('are refused while more than a little is unsent, and asked for again', async () => {
    const { subscriber, events, client, settle } = await established({ datagrams: true });
    client.wire.stalled = true;
    await settle();
    let taken = 0;
    for (let round = 0; round < 20; round++) {
      taken += fill(subscriber, 1000);
      await settle(2);
    }
    expect(taken).toBeGreaterThan(15);
    expect(taken).toBeLessThan(120);
    const { rooms } = events.subscriber;
    client.wire.resume();
    await settle(100);
    expect(events.publisher.datagrams.length).toBe(taken);
    expect(events.subscriber.rooms).toBe(rooms + 1);
    expect(fill(subscriber, 1000, 1)).toBe(1);
  });

  it('go before bulk, and do not stop it', async () => {
    const { subscriber, events, client, settle } = await established({ datagrams: true });
    const stream = subscriber.open();
    const pump = () => {
      while (stream.write(Buffer.alloc(16_000)));
    };
    stream.attach({ onData: () => {}, onEnd: () => {}, onReset: () => {}, onDrain: pump });
    await settle();
    client.wire.stalled = true;
    pump();
    await settle();
    for (let i = 0; i < 10; i++) subscriber.sendDatagram(Buffer.alloc(1000, i));
    await settle();
    const before = events.publisher.streams[0]?.received ?? 0;
    client.wire.resume();
    while (events.publisher.datagrams.length < 10) await settle(1);
    const behind = (events.publisher.streams[0]?.received ?? 0) - before;
    // What was below the scheduler when the first of them came.
    expect(behind).toBeLessThan(256 * 1024);
    await settle(100);
    expect(events.publisher.streams[0]?.received).toBeGreaterThan(before + behind);
  });

  it.each(['reset', 'end'] as const)(
    'are over when their stream sees %s; the carrier goes on',
    async (what) => {
      const { subscriber, publisher, lanes, events, settle } = await established({ datagrams: true });
      const far = await lanes?.far;
      far?.[what]();
      await settle();
      expect(subscriber.maxDatagram).toBe(0);
      expect(subscriber.sendDatagram(Buffer.from('x'))).toBe(false);
      new Recorder(subscriber.open()).stream.write(Buffer.from('hello'));
      await settle();
      expect(events.publisher.streams[0]?.text).toBe('hello');
      expect([events.subscriber.closes, events.publisher.closes]).toEqual([[], []]);
      publisher.close();
      await settle();
      expect(events.subscriber.closes.map((error) => error?.code)).toEqual(['peer_left']);
    },
  );

  it.each(['close', 'drop'] as const)('end with the carrier on %s, and give everything back', async (end) => {
    const { subscriber, publisher, events, client, server, settle } = await established({ datagrams: true });
    fill(subscriber, 1000, 5);
    subscriber[end]();
    expect(subscriber.sendDatagram(Buffer.from('x'))).toBe(false);
    await settle();
    expect([subscriber.maxDatagram, publisher.maxDatagram]).toEqual([0, 0]);
    expect([client.mux.streamCount, server.mux.streamCount]).toEqual([0, 0]);
    expect([client.budget.used, server.budget.used]).toEqual([0, 0]);
    expect(events.publisher.closes).toHaveLength(1);
  });
});

describe('the handshake of the datagram lane', () => {
  /** A publisher whose peer is a bare end of the lane, beside a subscriber that has none. */
  async function halfOpen() {
    const world = await outer();
    const lane = world.openLane();
    const common = { name: 'my-game', maxStreams: 10, runtime: world.runtime };
    const events = { subscriber: new Events(), publisher: new Events() };
    const establishing = Promise.all([
      RelayCarrier.establish(
        { bulk: world.near },
        { ...common, role: 'subscriber', certificate: ours, peerFingerprint: theirs.fingerprint },
        events.subscriber,
      ),
      RelayCarrier.establish(
        { bulk: world.far, datagrams: lane.far },
        { ...common, role: 'publisher', certificate: theirs, peerFingerprint: ours.fingerprint },
        events.publisher,
      ),
    ]);
    // It does not wait for the lane.
    await world.settle();
    const [subscriber, publisher] = await establishing;
    return { ...world, lane: await lane.near, subscriber, publisher, events };
  }

  type World = Awaited<ReturnType<typeof halfOpen>>;

  /** The bulk carrier has noticed nothing. */
  async function expectAlive({ subscriber, events, settle }: World) {
    new Recorder(subscriber.open()).stream.write(Buffer.from('hello'));
    await settle();
    expect(events.publisher.streams.at(-1)?.text).toBe('hello');
    expect(events.publisher.closes).toEqual([]);
  }

  async function asClient({ lane, settle }: World, certificate: { cert: string; key: string }) {
    const options = { role: 'client', name: 'my-game', peerFingerprint: theirs.fingerprint } as const;
    const handshake = pinnedTls(new StreamDuplex(lane), { ...options, ...certificate });
    await settle();
    const socket = await handshake;
    socket.on('error', () => socket.destroy());
    return socket;
  }

  it('refuses a wrong certificate, and reads nothing of its owner', async () => {
    const world = await halfOpen();
    const socket = await asClient(world, stranger);
    socket.write(Buffer.from([0, 1, 7]));
    await world.settle();
    expect([world.publisher.maxDatagram, world.events.publisher.datagrams]).toEqual([0, []]);
    await expectAlive(world);
  });

  it('is given up after 15 s, and by noise at once', async () => {
    for (const noise of [Buffer.alloc(0), Buffer.alloc(300, 'x')]) {
      const world = await halfOpen();
      if (noise.length > 0) world.lane.write(noise);
      else world.runtime.advance(15_000);
      await world.settle();
      expect(world.server.mux.streamCount).toBe(1);
      await expectAlive(world);
    }
  });

  it('may come late, behind a flood that nobody has read', async () => {
    const world = await outer();
    const lane = world.openLane();
    const near = await lane.near;
    let room = true;
    for (let i = 0; i < 100 && room; i++) room = near.write(Buffer.alloc(4096));
    await world.settle();
    expect(room).toBe(false);
    expect(world.server.closes).toEqual([]);
  });

  it.each([
    ['an empty datagram', Buffer.from([0, 0])],
    ['an empty one behind others', Buffer.from([0, 1, 9, 0, 0, 0, 1, 9])],
  ])('is followed by records: %s ends the lane alone', async (_name, bytes) => {
    const world = await halfOpen();
    const socket = await asClient(world, ours);
    expect(world.publisher.maxDatagram).toBe(MAX_DATAGRAM);
    socket.write(bytes);
    await world.settle();
    expect(world.publisher.maxDatagram).toBe(0);
    expect(world.events.publisher.datagrams.length).toBe(bytes.length > 2 ? 1 : 0);
    await expectAlive(world);
  });

  it('survives whatever a peer with the right certificate sends', async () => {
    const random = new Random(5);
    for (let round = 0; round < 5; round++) {
      const world = await halfOpen();
      const socket = await asClient(world, ours);
      const records = Buffer.concat([Buffer.from([0, 200]), random.bytes(200), Buffer.from([0, 1, 7])]);
      for (let i = 0; i < 20; i++) socket.write(mutate(records, random));
      await world.settle();
      await expectAlive(world);
    }
  });
});

describe('a carrier with a stranger', () => {
  it('refuses the lane with the rest', async () => {
    const { subscriber, client, settle } = await carriers({ shows: [ours, stranger], datagrams: true });
    expect(subscriber).toBeInstanceOf(UnderpassError);
    await settle();
    expect(client.mux.streamCount).toBe(0);
  });
});
