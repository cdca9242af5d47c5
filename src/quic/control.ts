import { ByteQueue } from '../net/byte-queue.ts';
import type { QuicheConnection } from './binding.ts';
import { ProtocolError } from './ending.ts';

/** The first stream without a way back that a side may open (RFC 9000 section 2.1). */
const SUBSCRIBER_STREAM = 2;
const PUBLISHER_STREAM = 3;

/** Says that we accept the peer, and which version of these messages follows. */
const GREETING = Buffer.from([1]);

/** A message is the id of a stream that is reset. */
const MESSAGE_SIZE = 6;

const URGENT = 0;

/** Resets that may wait to be sent: more than there are streams, unless the peer asks without listening. */
const MAX_QUEUE = 64 * 1024 * MESSAGE_SIZE;

export interface ControlHandler {
  /** The peer has accepted us. */
  onGreeting(): void;
  /** The peer has reset a stream, or has heard of our reset. */
  onReset(id: number): void;
}

/**
 * A pair of streams, one each way, beside those of the users: a greeting, and resets. RESET_STREAM itself is not used, because
 * quiche (0.18) never gives the connection's window back for bytes that a reset overtakes: each broken download would
 * narrow it for good. Instead both sides say that a stream is over, and read what is on its way to the end.
 */
export class Control {
  readonly #ours: number;
  readonly theirs: number;
  readonly #handler: ControlHandler;
  readonly #queue = new ByteQueue();
  readonly #unsent: Buffer[] = [];
  #received = Buffer.alloc(0);
  /** Whether the peer has accepted us. Nothing else of its counts before. */
  greeted = false;
  #opened = false;

  constructor(role: 'subscriber' | 'publisher', handler: ControlHandler) {
    const isSubscriber = role === 'subscriber';
    this.#ours = isSubscriber ? SUBSCRIBER_STREAM : PUBLISHER_STREAM;
    this.theirs = isSubscriber ? PUBLISHER_STREAM : SUBSCRIBER_STREAM;
    this.#handler = handler;
    this.#queue.push(GREETING);
  }

  reset(id: number): void {
    if (this.#queue.length >= MAX_QUEUE) throw new ProtocolError('flood of resets');
    const message = Buffer.alloc(MESSAGE_SIZE);
    message.writeUIntBE(id, 0, MESSAGE_SIZE);
    this.#queue.push(message);
  }

  /** Gives quiche what there is to say. Returns whether there was anything. */
  transmit(native: QuicheConnection): boolean {
    if (this.#opened && this.#queue.length === 0 && this.#unsent.length === 0) return false;
    if (!this.#opened) native.streamPriority(this.#ours, URGENT, false);
    this.#opened = true;
    this.#queue.take(Number.POSITIVE_INFINITY, this.#unsent);
    for (let next = this.#unsent[0]; next !== undefined; next = this.#unsent[0]) {
      const taken = native.streamSend(this.#ours, next, false) ?? 0;
      if (taken < next.length) {
        this.#unsent[0] = next.subarray(taken);
        break;
      }
      this.#unsent.shift();
    }
    return true;
  }

  /** Bytes that the connection has room for, as far as this stream's window lets us see. */
  room(native: QuicheConnection): number {
    return native.streamCapacity(this.#ours);
  }

  receive(native: QuicheConnection): void {
    const into = Buffer.allocUnsafe(1024);
    for (let read = native.streamRecv(this.theirs, into); read; read = native.streamRecv(this.theirs, into)) {
      const [size, end] = read;
      if (end) throw new ProtocolError('the control stream ended');
      this.#received = Buffer.concat([this.#received, into.subarray(0, size)]);
      this.#parse();
    }
  }

  #parse(): void {
    if (!this.greeted) {
      if (this.#received[0] !== GREETING[0]) throw new ProtocolError('an unknown greeting');
      this.greeted = true;
      this.#received = this.#received.subarray(1);
      this.#handler.onGreeting();
    }
    while (this.#received.length >= MESSAGE_SIZE) {
      const id = this.#received.readUIntBE(0, MESSAGE_SIZE);
      this.#received = this.#received.subarray(MESSAGE_SIZE);
      this.#handler.onReset(id);
    }
  }
}
