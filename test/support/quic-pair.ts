import { setTimeout as sleep } from 'node:timers/promises';
import type { Certificate } from '../../src/certificate.ts';
import { asUnderpassError, type UnderpassError } from '../../src/errors.ts';
import { type Runtime, systemRuntime } from '../../src/net/runtime.ts';
import { loadQuiche, type Quiche } from '../../src/quic/binding.ts';
import { QuicCarrier } from '../../src/quic/carrier.ts';
import { Events, ours, theirs } from './carrier-pair.ts';
import { Random } from './random.ts';

const support = await loadQuiche();

/** The native library, where there is a binary for it. */
export const quiche: Quiche | undefined = support.available ? support.quiche : undefined;

/** What happens to packets on their way. */
export interface Weather {
  lossPercent: number;
  /** One way, milliseconds; up to `jitterMs` more, which changes their order. */
  delayMs: number;
  jitterMs: number;
  /** Sees each packet, and says what arrives in its place. */
  tamper: ((packet: Buffer) => readonly Buffer[]) | undefined;
}

/** One direction of a path. quiche has a clock of its own, and it is the real one: so is this. */
export class Wire {
  readonly weather: Weather = { lossPercent: 0, delayMs: 0, jitterMs: 0, tamper: undefined };
  readonly #random: Random;
  receive: (packet: Buffer) => void = () => {};
  packets = 0;
  bytes = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  /** Takes a copy, as the system does: the carrier may use the bytes again. */
  send(bytes: Buffer): true {
    const packet = Buffer.from(bytes);
    this.packets += 1;
    this.bytes += packet.length;
    const { lossPercent, delayMs, jitterMs, tamper } = this.weather;
    if (this.#random.next() * 100 < lossPercent) return true;
    for (const arriving of tamper?.(packet) ?? [packet]) {
      const delay = delayMs + this.#random.next() * jitterMs;
      if (delay === 0) setImmediate(() => this.receive(arriving));
      else setTimeout(() => this.receive(arriving), delay);
    }
    return true;
  }
}

/** Writes down what a carrier tells its link, of silence too. */
class QuicEvents extends Events {
  readonly silences: boolean[] = [];
}

export interface PairOptions {
  /** What the subscriber and the publisher show, and what they expect. */
  readonly shows?: readonly [Certificate, Certificate];
  readonly expects?: readonly [Certificate, Certificate];
  /** What the subscriber and the publisher think that they agreed on. */
  readonly maxStreams?: readonly [number, number];
  readonly idleTimeout?: number;
  readonly weather?: Partial<Weather>;
  readonly seed?: number;
  readonly runtime?: Runtime;
  /** The native library that the publisher uses. */
  readonly native?: Quiche;
}

/** Two carriers and the path between them. What became of the handshakes is in `outcomes`. */
export function quicPair(options: PairOptions = {}) {
  const { shows = [ours, theirs], expects = [theirs, ours], maxStreams = [100, 100] } = options;
  const { idleTimeout, seed = 1, runtime = systemRuntime } = options;
  const [up, down] = [new Wire(seed), new Wire(seed + 1)];
  for (const { weather } of [up, down]) Object.assign(weather, options.weather);
  const events = { subscriber: new QuicEvents(), publisher: new QuicEvents() };
  const common = {
    quiche: quiche as Quiche,
    name: 'my-game',
    runtime,
    ...(idleTimeout === undefined ? {} : { idleTimeout }),
  };
  const publisher = new QuicCarrier(
    {
      ...common,
      quiche: options.native ?? common.quiche,
      role: 'publisher',
      maxStreams: maxStreams[1],
      certificate: shows[1],
      peerFingerprint: expects[1].fingerprint,
      send: (packet) => down.send(packet),
      onSilence: (silent) => events.publisher.silences.push(silent),
    },
    events.publisher,
  );
  const subscriber = new QuicCarrier(
    {
      ...common,
      role: 'subscriber',
      maxStreams: maxStreams[0],
      certificate: shows[0],
      peerFingerprint: expects[0].fingerprint,
      send: (packet) => up.send(packet),
      onSilence: (silent) => events.subscriber.silences.push(silent),
    },
    events.subscriber,
  );
  up.receive = (packet) => publisher.receive(packet);
  down.receive = (packet) => subscriber.receive(packet);
  const outcomes = Promise.all([subscriber, publisher].map(outcomeOf)) as Promise<
    [UnderpassError | undefined, UnderpassError | undefined]
  >;
  return { subscriber, publisher, up, down, events, outcomes };
}

/** A pair that has met. */
export async function established(options: PairOptions = {}) {
  const pair = quicPair(options);
  const errors = await pair.outcomes;
  if (errors.some((error) => error !== undefined)) throw new Error('no carrier', { cause: errors });
  return pair;
}

function outcomeOf(carrier: QuicCarrier): Promise<UnderpassError | undefined> {
  return carrier.established.then(() => undefined, asUnderpassError);
}

/** Lets real time pass until something is so. */
export async function until(condition: () => boolean, patience = 8000): Promise<void> {
  const deadline = performance.now() + patience;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`never: ${condition}`);
    await sleep(1);
  }
}
