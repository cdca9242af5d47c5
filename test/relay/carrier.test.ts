import { describe, expect, it } from 'vitest';
import { RelayCarrier } from '../../src/relay/carrier.ts';
import { Events, established, ours, outer, theirs } from '../support/carrier-pair.ts';
import { thrownBy } from '../support/errors.ts';
import { Recorder } from '../support/mux-pair.ts';

describe('a pair of relay carriers', () => {
  it('carries bytes both ways on many streams, with half-close', async () => {
    const { subscriber, events, settle } = await established();
    const near = Array.from({ length: 20 }, () => new Recorder(subscriber.open()));
    for (const [i, { stream }] of near.entries()) {
      stream.write(Buffer.from(`question ${i}`));
      stream.end();
    }
    await settle();
    expect(events.publisher.streams.map(({ text }) => text)).toEqual(near.map((_, i) => `question ${i}`));
    expect(events.publisher.streams.every(({ events: [end] }) => end === 'end')).toBe(true);
    for (const { stream } of events.publisher.streams) {
      stream.write(Buffer.alloc(100_000, 7));
      stream.end();
    }
    await settle(200);
    expect(near.map(({ received }) => received)).toEqual(near.map(() => 100_000));
    expect(near.every(({ events: [end] }) => end === 'end')).toBe(true);
    expect(events.publisher.closes.concat(events.subscriber.closes)).toEqual([]);
  });

  it('shows nothing of what it carries to who carries it', async () => {
    const world = await outer();
    const seen: Buffer[] = [];
    const receive = world.server.mux.receive.bind(world.server.mux);
    world.client.wire.connect({
      receive: (chunk) => {
        seen.push(chunk);
        receive(chunk);
      },
      lost: () => {},
    });
    const options = { name: 'x', maxStreams: 1, runtime: world.runtime };
    const [own, peer] = [ours, theirs];
    const established = Promise.all([
      RelayCarrier.establish(
        { bulk: world.near },
        { ...options, role: 'subscriber', certificate: own, peerFingerprint: peer.fingerprint },
        new Events(),
      ),
      RelayCarrier.establish(
        { bulk: world.far },
        { ...options, role: 'publisher', certificate: peer, peerFingerprint: own.fingerprint },
        new Events(),
      ),
    ]);
    await world.settle();
    const [subscriber] = await established;
    subscriber.open().write(Buffer.from('the secret of the game'));
    await world.settle();
    expect(Buffer.concat(seen).length).toBeGreaterThan(500);
    expect(Buffer.concat(seen).includes('the secret')).toBe(false);
  });

  it('allows no more streams than agreed, and none from the publisher', async () => {
    const { subscriber, publisher, events, settle } = await established();
    for (let i = 0; i < 100; i++) subscriber.open();
    expect(thrownBy(() => subscriber.open()).code).toBe('too_many_channels');
    publisher.open();
    await settle();
    expect(events.subscriber.closes.map((error) => error?.code)).toEqual(['protocol_error']);
    expect(events.publisher.closes.map((error) => error?.code)).toEqual(['peer_lost']);
  });

  it.each([
    ['close', 'peer_left'],
    ['drop', 'peer_lost'],
  ] as const)('on %s our side hears no error, and the peer %s, each once', async (end, code) => {
    const { subscriber, events, settle } = await established();
    const near = new Recorder(subscriber.open());
    await settle();
    subscriber[end]();
    subscriber[end]();
    await settle();
    expect(events.subscriber.closes).toEqual([undefined]);
    expect(events.publisher.closes.map((error) => error?.code)).toEqual([code]);
    expect([near.events, events.publisher.streams[0]?.events]).toEqual([['reset'], ['reset']]);
    expect(thrownBy(() => subscriber.open()).code).toBe('peer_lost');
  });

  it.each(['reset', 'end'] as const)('ends when the outer stream sees %s', async (what) => {
    const { subscriber, far, events, settle } = await established();
    const near = new Recorder(subscriber.open());
    await settle();
    far[what]();
    await settle();
    expect(events.subscriber.closes.map((error) => error?.code)).toEqual(['peer_lost']);
    expect(near.events).toEqual(['reset']);
  });

  it('ends when the connection to the server is lost, with everything on it', async () => {
    const { subscriber, client, events, settle } = await established();
    const near = new Recorder(subscriber.open());
    await settle();
    client.mux.lost();
    await settle();
    expect(events.subscriber.closes.map((error) => error?.code)).toEqual(['peer_lost']);
    expect(near.events).toEqual(['reset']);
    expect(client.budget.used).toBe(0);
  });

  it('closes within 5 s when its last bytes cannot leave', async () => {
    const { subscriber, client, runtime, settle } = await established();
    client.wire.stalled = true;
    const stream = subscriber.open();
    while (stream.write(Buffer.alloc(50_000)));
    await settle();
    subscriber.close();
    await settle();
    expect(client.mux.streamCount).toBe(1);
    runtime.advance(5000);
    await settle();
    expect(client.mux.streamCount).toBe(0);
  });

  it('says goodbye behind what waits on a path that is full', async () => {
    const { subscriber, client, events, settle } = await established();
    client.wire.stalled = true;
    const stream = subscriber.open();
    while (stream.write(Buffer.alloc(50_000)));
    await settle();
    subscriber.close();
    await settle();
    client.wire.resume();
    await settle(200);
    expect(events.publisher.closes.map((error) => error?.code)).toEqual(['peer_left']);
    expect(client.mux.streamCount).toBe(0);
  });

  it('gives the outer stream back after close, both ways', async () => {
    const { subscriber, client, server, settle } = await established();
    subscriber.close();
    await settle();
    expect([client.mux.streamCount, server.mux.streamCount]).toEqual([0, 0]);
    expect([client.budget.used, server.budget.used]).toEqual([0, 0]);
  });
});
