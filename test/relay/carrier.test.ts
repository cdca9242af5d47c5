import { setImmediate as turn } from 'node:timers/promises';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ByteStream, CarrierHandler } from '../../src/carrier.ts';
import { type Certificate, createLinkCertificate } from '../../src/certificate.ts';
import { asUnderpassError, UnderpassError } from '../../src/errors.ts';
import { RelayCarrier } from '../../src/relay/carrier.ts';
import { StreamDuplex } from '../../src/relay/duplex.ts';
import { encodeHeader, Flag, FrameType } from '../../src/relay/frame.ts';
import { muxPair, Recorder } from '../support/mux-pair.ts';
import { VirtualRuntime } from '../support/virtual-runtime.ts';

/** Certificates: the two that belong to the link, and a stranger's. */
let [ours, theirs, stranger]: Certificate[] = [];

beforeAll(async () => {
  [ours, theirs, stranger] = await Promise.all([
    createLinkCertificate(),
    createLinkCertificate(),
    createLinkCertificate(),
  ]);
});

const unhandled: unknown[] = [];
const note = (reason: unknown) => unhandled.push(reason);
process.on('unhandledRejection', note);
afterAll(() => {
  process.removeListener('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

class Events implements CarrierHandler {
  readonly streams: Recorder[] = [];
  readonly closes: (UnderpassError | undefined)[] = [];

  onStream(stream: ByteStream): void {
    this.streams.push(new Recorder(stream));
  }

  onClose(error: UnderpassError | undefined): void {
    this.closes.push(error);
  }
}

interface Wish {
  /** What the subscriber shows, and what it expects; likewise the publisher. */
  readonly shows?: [Certificate, Certificate];
  readonly expects?: [Certificate, Certificate];
}

/** The two ends of one outer stream, and a way to let time pass while TLS works in real turns of the event loop. */
async function outer() {
  const runtime = new VirtualRuntime();
  const pair = muxPair(runtime);
  const near = pair.client.mux.open() as ByteStream;
  runtime.advance(10);
  const far = pair.server.accepted[0] as ByteStream;
  const settle = async (turns = 40) => {
    for (let i = 0; i < turns; i++) {
      runtime.advance(2);
      await turn();
    }
  };
  return { runtime, ...pair, near, far, settle };
}

async function carriers({ shows, expects }: Wish = {}) {
  const world = await outer();
  const [own, peer] = [ours as Certificate, theirs as Certificate];
  const [subscriberShows, publisherShows] = shows ?? [own, peer];
  const [subscriberExpects, publisherExpects] = expects ?? [peer, own];
  const events = { subscriber: new Events(), publisher: new Events() };
  const common = { name: 'my-game', maxStreams: 100, runtime: world.runtime };
  const establishing = [
    RelayCarrier.establish(
      world.near,
      {
        ...common,
        role: 'subscriber',
        certificate: subscriberShows,
        peerFingerprint: subscriberExpects.fingerprint,
      },
      events.subscriber,
    ),
    RelayCarrier.establish(
      world.far,
      {
        ...common,
        role: 'publisher',
        certificate: publisherShows,
        peerFingerprint: publisherExpects.fingerprint,
      },
      events.publisher,
    ),
  ].map((promise) => promise.catch(asUnderpassError)) as [Outcome, Outcome];
  await world.settle();
  const [subscriber, publisher] = await Promise.all(establishing);
  return { ...world, subscriber, publisher, events };
}

type Outcome = Promise<RelayCarrier | UnderpassError>;

async function established() {
  const world = await carriers();
  const { subscriber, publisher } = world;
  if (subscriber instanceof UnderpassError || publisher instanceof UnderpassError)
    throw new Error('no carrier was established');
  return { ...world, subscriber, publisher };
}

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
    const [own, peer] = [ours as Certificate, theirs as Certificate];
    const established = Promise.all([
      RelayCarrier.establish(
        world.near,
        { ...options, role: 'subscriber', certificate: own, peerFingerprint: peer.fingerprint },
        new Events(),
      ),
      RelayCarrier.establish(
        world.far,
        { ...options, role: 'publisher', certificate: peer, peerFingerprint: own.fingerprint },
        new Events(),
      ),
    ]);
    await world.settle();
    const [subscriber] = await established;
    subscriber.open().write(Buffer.from('the secret of the game'));
    await world.settle();
    expect(Buffer.concat(seen).length).toBeGreaterThan(1000);
    expect(Buffer.concat(seen).includes('the secret')).toBe(false);
  });

  it('allows no more streams than agreed, and none from the publisher', async () => {
    const { subscriber, publisher, events, settle } = await established();
    for (let i = 0; i < 100; i++) subscriber.open();
    expect(codeOf(() => subscriber.open())).toBe('too_many_channels');
    publisher.open();
    await settle();
    expect(events.subscriber.closes.map((error) => error?.code)).toEqual(['protocol_error']);
    expect(events.publisher.closes.map((error) => error?.code)).toEqual(['peer_lost']);
  });

  it('closes: our side hears no error, the peer hears that we are gone, each once', async () => {
    const { subscriber, events, settle } = await established();
    const near = new Recorder(subscriber.open());
    await settle();
    subscriber.close();
    subscriber.close();
    await settle();
    expect(events.subscriber.closes).toEqual([undefined]);
    expect(events.publisher.closes.map((error) => error?.code)).toEqual(['peer_lost']);
    expect([near.events, events.publisher.streams[0]?.events]).toEqual([['reset'], ['reset']]);
    expect(codeOf(() => subscriber.open())).toBe('peer_lost');
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

  it('gives the outer stream back after close, both ways', async () => {
    const { subscriber, client, server, settle } = await established();
    subscriber.close();
    await settle();
    expect([client.mux.streamCount, server.mux.streamCount]).toEqual([0, 0]);
    expect([client.budget.used, server.budget.used]).toEqual([0, 0]);
  });
});

describe('a wrong certificate', () => {
  it('of the publisher is refused, and nothing was sent', async () => {
    const { subscriber, events } = await carriers({
      shows: [ours as Certificate, stranger as Certificate],
    });
    expect(subscriber).toMatchObject({ code: 'peer_certificate' });
    expect(events.publisher.streams).toEqual([]);
  });

  it('of the subscriber is refused, and none of its bytes is delivered', async () => {
    const { subscriber, publisher, events, settle } = await carriers({
      shows: [stranger as Certificate, theirs as Certificate],
    });
    expect(publisher).toMatchObject({ code: 'peer_certificate' });
    // TLS 1.3 lets a client finish before the server has looked at its certificate.
    if (subscriber instanceof RelayCarrier) {
      expect(events.subscriber.closes.map((error) => error?.code)).toEqual(['peer_lost']);
    } else expect(subscriber).toMatchObject({ code: 'peer_lost' });
    await settle();
    expect(events.publisher.streams).toEqual([]);
  });
});

describe('a TLS client of another make', () => {
  /** Runs a bare TLS client against a publisher, and returns what the publisher made of it. */
  async function against(options: ConnectionOptions) {
    const { near, far, runtime, settle } = await outer();
    const events = new Events();
    const outcome = RelayCarrier.establish(
      far,
      {
        role: 'publisher',
        name: 'my-game',
        certificate: theirs as Certificate,
        peerFingerprint: (ours as Certificate).fingerprint,
        maxStreams: 1,
        runtime,
      },
      events,
    ).catch(asUnderpassError);
    const socket = connect({ socket: new StreamDuplex(near), rejectUnauthorized: false, ...options });
    socket.on('error', (e) => {console.log('CLIENT', e); socket.destroy()});
    socket.write(encodeHeader(FrameType.windowUpdate, Flag.syn, 1, 0));
    await settle();
    socket.destroy();
    await settle();
    return { result: await outcome, events };
  }

  it('is welcome with the right certificate and protocol', async () => {
    const { result, events } = await against({ ...ours, ALPNProtocols: ['underpass/1'] });
    expect(result).toBeInstanceOf(RelayCarrier);
    expect(events.streams).toHaveLength(1);
  });

  it.each<[string, () => ConnectionOptions, string]>([
    ['without a certificate', () => ({ ALPNProtocols: ['underpass/1'] }), 'peer_certificate'],
    ['without the protocol', () => ({ ...ours }), 'peer_certificate'],
    ['with another protocol', () => ({ ...ours, ALPNProtocols: ['h2'] }), 'peer_lost'],
    ['with TLS 1.2', () => ({ ...ours, ALPNProtocols: ['underpass/1'], maxVersion: 'TLSv1.2' }), 'peer_lost'],
  ])('is refused %s, before any of its bytes counts', async (_name, options, code) => {
    const { result, events } = await against(options());
    expect(result).toMatchObject({ code });
    expect(events.streams).toEqual([]);
  });
});

function codeOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return asUnderpassError(error).code;
  }
}

describe('a handshake that never ends', () => {
  it('is given up', async () => {
    const { near, runtime, settle } = await outer();
    const outcome = RelayCarrier.establish(
      near,
      {
        role: 'subscriber',
        name: 'my-game',
        certificate: ours as Certificate,
        peerFingerprint: (theirs as Certificate).fingerprint,
        maxStreams: 1,
        runtime,
      },
      new Events(),
    ).catch(asUnderpassError);
    await settle();
    runtime.advance(15_000);
    await settle();
    expect(await outcome).toMatchObject({ code: 'peer_lost' });
  });

  it('is not, when the peer sends noise: that ends it at once', async () => {
    for (const noise of [
      '\u0000'.repeat(100),
      'GET / HTTP/1.1\r\n\r\n',
      '\u0016\u0003\u0001\u0000\u0005hello',
    ]) {
      const { near, far, runtime, settle } = await outer();
      const events = new Events();
      const outcome = RelayCarrier.establish(
        near,
        {
          role: 'publisher',
          name: 'my-game',
          certificate: ours as Certificate,
          peerFingerprint: (theirs as Certificate).fingerprint,
          maxStreams: 1,
          runtime,
        },
        events,
      ).catch(asUnderpassError);
      far.write(Buffer.from(noise, 'latin1'));
      await settle();
      far.reset();
      await settle();
      expect(await outcome).toMatchObject({ code: 'peer_lost' });
      expect(events.streams).toEqual([]);
    }
  });
});
