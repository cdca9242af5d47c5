import { setImmediate as turn } from 'node:timers/promises';
import type { ByteStream, CarrierHandler } from '../../src/carrier.ts';
import { type Certificate, createLinkCertificate } from '../../src/certificate.ts';
import { asUnderpassError, UnderpassError } from '../../src/errors.ts';
import { RelayCarrier } from '../../src/relay/carrier.ts';
import type { MuxedStream } from '../../src/relay/mux.ts';
import { muxPair, Recorder } from './mux-pair.ts';
import { VirtualRuntime } from './virtual-runtime.ts';

/** Certificates: the two that belong to the link, and a stranger's. */
export const [ours, theirs, stranger] = await Promise.all([
  createLinkCertificate(),
  createLinkCertificate(),
  createLinkCertificate(),
]);

/** Writes down what a carrier tells its link. */
export class Events implements CarrierHandler {
  readonly streams: Recorder[] = [];
  readonly datagrams: Buffer[] = [];
  rooms = 0;
  readonly closes: (UnderpassError | undefined)[] = [];

  onStream(stream: ByteStream): void {
    this.streams.push(new Recorder(stream));
  }

  onDatagram(datagram: Buffer): void {
    this.datagrams.push(datagram);
  }

  onDatagramRoom(): void {
    this.rooms += 1;
  }

  onClose(error: UnderpassError | undefined): void {
    this.closes.push(error);
  }
}

interface Wish {
  /** What the subscriber shows, and what it expects; likewise the publisher. */
  readonly shows?: [Certificate, Certificate];
  readonly expects?: [Certificate, Certificate];
  /** Whether there is a lane for datagrams, and who wants none. */
  readonly datagrams?: boolean;
  readonly refuses?: 'subscriber' | 'publisher';
}

/** The two ends of one outer stream, and a way to let time pass while TLS works in real turns of the event loop. */
export async function outer() {
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
  /** One more outer stream, for datagrams. */
  const openLane = () => {
    const lane = pair.client.mux.open(undefined, true) as ByteStream;
    runtime.advance(10);
    const accepted = pair.server.accepted.at(-1) as MuxedStream;
    accepted.makeUrgent();
    return { near: Promise.resolve(lane), far: Promise.resolve<ByteStream>(accepted) };
  };
  return { runtime, ...pair, near, far, openLane, settle };
}

/** What became of the two ends of a carrier: each is one, or the error that ended it. */
export async function carriers({ shows, expects, datagrams, refuses }: Wish = {}) {
  const world = await outer();
  const lanes = datagrams === true ? world.openLane() : undefined;
  const [own, peer] = [ours, theirs];
  const [subscriberShows, publisherShows] = shows ?? [own, peer];
  const [subscriberExpects, publisherExpects] = expects ?? [peer, own];
  const events = { subscriber: new Events(), publisher: new Events() };
  const common = { name: 'my-game', maxStreams: 100, runtime: world.runtime };
  const establishing = [
    RelayCarrier.establish(
      { bulk: world.near, datagrams: lanes?.near },
      {
        ...common,
        role: 'subscriber',
        datagrams: refuses !== 'subscriber',
        certificate: subscriberShows,
        peerFingerprint: subscriberExpects.fingerprint,
      },
      events.subscriber,
    ),
    RelayCarrier.establish(
      { bulk: world.far, datagrams: lanes?.far },
      {
        ...common,
        role: 'publisher',
        datagrams: refuses !== 'publisher',
        certificate: publisherShows,
        peerFingerprint: publisherExpects.fingerprint,
      },
      events.publisher,
    ),
  ].map((promise) => promise.catch(asUnderpassError)) as [Outcome, Outcome];
  await world.settle();
  const [subscriber, publisher] = await Promise.all(establishing);
  return { ...world, lanes, subscriber, publisher, events };
}

type Outcome = Promise<RelayCarrier | UnderpassError>;

/** Two ends that met. */
export async function established(wish: Wish = {}) {
  const world = await carriers(wish);
  const { subscriber, publisher } = world;
  if (subscriber instanceof UnderpassError || publisher instanceof UnderpassError)
    throw new Error('no carrier was established');
  return { ...world, subscriber, publisher };
}
