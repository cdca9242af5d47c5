import type { ByteStream, Carrier } from '../../src/carrier.ts';
import type { QueueLimits } from '../../src/tunnel/udp/datagram-queue.ts';
import { LinkDatagrams } from '../../src/tunnel/udp/link-datagrams.ts';
import type { Random } from './random.ts';
import { VirtualRuntime } from './virtual-runtime.ts';

export interface Received {
  readonly port: number;
  readonly flow: number;
  readonly payload: Buffer;
}

/** One end of the datagrams of a link, and what has arrived there. */
export class DatagramEnd {
  readonly received: Received[] = [];
  readonly datagrams: LinkDatagrams;

  constructor(runtime: VirtualRuntime, limits: QueueLimits = {}) {
    const onDatagram = (port: number, flow: number, payload: Buffer) => {
      this.received.push({ port, flow, payload });
    };
    this.datagrams = new LinkDatagrams({ runtime, onDatagram, limits });
  }
}

/** What becomes of a carrier's datagrams. */
export interface Road {
  maxDatagram: number;
  /** From 0 to 1. */
  loss: number;
  /** Milliseconds; a datagram takes from half of it to all, so that they overtake one another. */
  delay: number;
  /** Datagrams that it takes at once; it has room for as many again a millisecond later. */
  burst: number;
}

/** One direction of a carrier: datagrams only. */
export class DatagramCarrier implements Carrier {
  readonly kind = 'direct';
  readonly rtt = undefined;
  readonly road: Road;
  /** Whether it has refused one since it last had room. */
  refused = false;
  sent = 0;
  readonly #to: LinkDatagrams;
  readonly #from: LinkDatagrams;
  readonly #runtime: VirtualRuntime;
  readonly #random: Random;
  #credit: number;

  constructor(from: LinkDatagrams, to: LinkDatagrams, runtime: VirtualRuntime, random: Random, road: Road) {
    this.#from = from;
    this.#to = to;
    this.#runtime = runtime;
    this.#random = random;
    this.road = road;
    this.#credit = road.burst;
  }

  get maxDatagram(): number {
    return this.road.maxDatagram;
  }

  sendDatagram(datagram: Buffer): boolean {
    if (datagram.length > this.road.maxDatagram) throw new Error(`a datagram of ${datagram.length} bytes`);
    if (this.#credit === 0) {
      if (!this.refused) this.#runtime.setTimer(1, () => this.#room());
      this.refused = true;
      return false;
    }
    this.#credit -= 1;
    this.sent += 1;
    if (this.#random.next() < this.road.loss) return true;
    const delay = this.road.delay * (0.5 + this.#random.next() / 2);
    this.#runtime.setTimer(delay, () => this.#to.receive(datagram));
    return true;
  }

  open(): ByteStream {
    throw new Error('it has datagrams only');
  }

  close(): void {}

  drop(): void {}

  #room(): void {
    this.#credit = this.road.burst;
    this.refused = false;
    this.#from.onRoom();
  }
}

/** Two ends, and carriers from the first to the second as they are asked for. */
export function datagramPair(random: Random, limits: QueueLimits = {}) {
  const runtime = new VirtualRuntime();
  const near = new DatagramEnd(runtime, limits);
  const far = new DatagramEnd(runtime, limits);
  const carrier = (road: Partial<Road> = {}, [from, to] = [near, far]) =>
    new DatagramCarrier(from.datagrams, to.datagrams, runtime, random, {
      ...{ maxDatagram: 1200, loss: 0, delay: 0, burst: Number.POSITIVE_INFINITY },
      ...road,
    });
  return { runtime, near, far, carrier };
}
