import type { Carrier } from '../../carrier.ts';
import type { Runtime, Timer } from '../../net/runtime.ts';
import { DatagramError, decodeDatagram, encodeWhole, MAX_PAYLOAD } from './datagram-frame.ts';
import { DatagramQueue, type QueueLimits } from './datagram-queue.ts';
import { Reassembly } from './reassembly.ts';

/** How often what waits is looked through for what is too old. Milliseconds. */
const SWEEP = 1000;

export interface LinkDatagramsOptions {
  readonly runtime: Runtime;
  /** A payload has arrived, whole. Its bytes are the handler's. */
  readonly onDatagram: (port: number, flow: number, payload: Buffer) => void;
  /** For datagrams that wait to be sent. */
  readonly limits?: QueueLimits;
}

/** What a link has carried in payloads; bytes are the applications' own. */
export interface DatagramCounts {
  readonly sent: number;
  readonly sentBytes: number;
  readonly received: number;
  readonly receivedBytes: number;
  /** Dropped here before they were sent: too old, no room, too large. */
  readonly dropped: number;
  /** Arrived in part only. */
  readonly incomplete: number;
  /** Carriers' datagrams that no peer should send. */
  readonly invalid: number;
}

/** The datagrams of a link, on whichever of its carriers is active. They may get lost, and wait for little. */
export class LinkDatagrams {
  readonly #runtime: Runtime;
  readonly #onDatagram: (port: number, flow: number, payload: Buffer) => void;
  readonly #queue: DatagramQueue;
  readonly #reassembly = new Reassembly();
  #carrier: Carrier | undefined;
  /** The carrier has refused one, and will say when there is room. */
  #blocked = false;
  #draining = false;
  #closed = false;
  #timer: Timer | undefined;
  #sent = 0;
  #sentBytes = 0;
  #received = 0;
  #receivedBytes = 0;
  #oversized = 0;
  #invalid = 0;

  constructor({ runtime, onDatagram, limits }: LinkDatagramsOptions) {
    this.#runtime = runtime;
    this.#onDatagram = onDatagram;
    this.#queue = new DatagramQueue(limits);
  }

  get counts(): DatagramCounts {
    const { old, full, large } = this.#queue.drops;
    return {
      ...{ sent: this.#sent, sentBytes: this.#sentBytes },
      ...{ received: this.#received, receivedBytes: this.#receivedBytes },
      dropped: old + full + large + this.#oversized,
      ...{ incomplete: this.#reassembly.incomplete, invalid: this.#invalid },
    };
  }

  /** Sends a payload, of which a copy is made. What UDP does not have room for (more than 65,507 bytes) is dropped. */
  send(port: number, flow: number, payload: Buffer): void {
    if (this.#closed) return;
    if (payload.length > MAX_PAYLOAD) {
      this.#oversized += 1;
      return;
    }
    this.#sent += 1;
    this.#sentBytes += payload.length;
    const whole = encodeWhole(port, flow, payload);
    const carrier = this.#carrier;
    if (carrier !== undefined && this.#queue.isEmpty && !this.#blocked) {
      if (whole.length <= carrier.maxDatagram) {
        if (carrier.sendDatagram(whole)) return;
        // By refusing it can have ended, and there is another one.
        this.#blocked = carrier === this.#carrier;
      }
    }
    this.#queue.push(port, flow, whole, this.#runtime.now());
    this.#drain();
    this.#watch();
  }

  /** The active carrier, or none. It may be told again without harm. */
  use(carrier: Carrier | undefined): void {
    if (carrier === this.#carrier) return;
    this.#carrier = carrier;
    this.#blocked = false;
    this.#drain();
  }

  /** The active carrier has room, or takes datagrams now where it took none. */
  onRoom(): void {
    this.#blocked = false;
    this.#drain();
  }

  /** A datagram from any carrier of the link. What is wrong with it is counted and hurts nobody: it was but a datagram. */
  receive(bytes: Buffer): void {
    if (this.#closed) return;
    try {
      const { port, flow, fragment, payload } = decodeDatagram(bytes);
      if (fragment === undefined) this.#deliver(port, flow, payload);
      else {
        const whole = this.#reassembly.receive(port, flow, fragment, payload, this.#runtime.now());
        if (whole !== undefined) this.#deliver(port, flow, whole);
        this.#watch();
      }
    } catch (error) {
      if (!(error instanceof DatagramError)) throw error;
      this.#invalid += 1;
    }
  }

  /** Nothing is sent or delivered any more. */
  close(): void {
    this.#closed = true;
    this.#carrier = undefined;
    this.#timer?.cancel();
  }

  #deliver(port: number, flow: number, payload: Buffer): void {
    this.#received += 1;
    this.#receivedBytes += payload.length;
    this.#onDatagram(port, flow, payload);
  }

  #drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    try {
      while (this.#sendNext());
    } finally {
      this.#draining = false;
    }
  }

  #sendNext(): boolean {
    const carrier = this.#carrier;
    if (carrier === undefined || this.#blocked || this.#queue.isEmpty) return false;
    const { maxDatagram } = carrier;
    if (maxDatagram === 0) return false;
    const datagram = this.#queue.next(maxDatagram, this.#runtime.now());
    if (datagram === undefined) return false;
    if (carrier.sendDatagram(datagram)) this.#queue.taken();
    else if (carrier === this.#carrier) this.#blocked = true;
    return true;
  }

  /** Memory of what nobody asks for any more comes back, too. */
  #watch(): void {
    if (this.#timer !== undefined || (this.#queue.isEmpty && this.#reassembly.timeout === undefined)) return;
    this.#timer = this.#runtime.setTimer(SWEEP, () => {
      this.#timer = undefined;
      const now = this.#runtime.now();
      this.#queue.expire(now);
      this.#reassembly.expire(now);
      this.#watch();
    });
  }
}
