import type { Runtime, Timer } from '../net/runtime.ts';
import type { QuicheConnection } from './binding.ts';
import { MAX_PACKET_SIZE } from './config.ts';
import type { Connection } from './connection.ts';
import { Slab } from './slab.ts';

export interface DatagramsOptions {
  readonly connection: Connection;
  readonly runtime: Runtime;
  onDatagram(datagram: Buffer): void;
  /** After `send` returned false: there is room again. */
  onRoom(): void;
}

/**
 * Datagrams that may wait in quiche, where nothing can be dropped for a newer one: as many as the system hands over at a time.
 * Whoever has more keeps them, and drops the oldest.
 */
const MAX_WAITING = 32;

/** So many may still wait when there is room again. */
const ROOM_AT = MAX_WAITING / 2;

/** From the last datagram on, milliseconds, somebody still wants to know when the path dies. */
const IN_USE = 10_000;

/** The datagrams of a connection (RFC 9221). They wait for the congestion window, and for nothing else. */
export class Datagrams {
  readonly #options: DatagramsOptions;
  readonly #slab = new Slab();
  #maxSize: number | undefined;
  /** How many quiche has, at most. */
  #waiting = 0;
  #refused = false;
  /** Some have come or gone since the timer was set. */
  #used = false;
  #idle: Timer | undefined;
  #over = false;

  constructor(options: DatagramsOptions) {
    this.#options = options;
  }

  /** What one may have, in bytes, once the handshake is over. It does not change any more. */
  get maxSize(): number {
    this.#maxSize ??= this.#options.connection.run((native) => native.dgramMaxWritableLen() ?? 0);
    return this.#maxSize ?? 0;
  }

  /** Gives one to quiche, which copies it. False: there is no room. One that is too large is lost. */
  send(datagram: Buffer): boolean {
    if (this.#over || this.maxSize === 0 || datagram.length > this.maxSize) return true;
    if (this.#waiting >= MAX_WAITING) {
      this.#refused = true;
      return false;
    }
    const { connection } = this.#options;
    connection.run((native) => native.dgramSend(datagram));
    this.#waiting += 1;
    this.#use(datagram.length);
    connection.wake();
    return true;
  }

  /** Delivers all that have come. Returns whether there were any. */
  receive(native: QuicheConnection): boolean {
    for (let any = false; ; any = true) {
      const size = native.dgramRecv(this.#slab.room(MAX_PACKET_SIZE));
      if (size === null) return any;
      this.#use(size);
      this.#options.onDatagram(this.#slab.take(size));
      if (this.#over) return true;
    }
  }

  /** Packets have been sent: there may be room again. */
  sent(native: QuicheConnection): void {
    if (this.#waiting > 0) this.#waiting = native.dgramSendQueueLen();
    if (!this.#refused || this.#waiting > ROOM_AT) return;
    this.#refused = false;
    this.#options.onRoom();
  }

  /** The connection is over. */
  stop(): void {
    this.#over = true;
    this.#idle?.cancel();
  }

  #use(bytes: number): void {
    const { connection } = this.#options;
    this.#used = true;
    if (this.#idle === undefined) {
      connection.use('datagrams', true);
      this.#awaitIdle();
    }
    connection.carried(bytes, 1);
  }

  #awaitIdle(): void {
    this.#used = false;
    this.#idle = this.#options.runtime.setTimer(IN_USE, () => {
      if (this.#used) {
        this.#awaitIdle();
        return;
      }
      this.#idle = undefined;
      this.#options.connection.use('datagrams', false);
    });
  }
}
