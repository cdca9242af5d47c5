import type { QuicheConnection } from './binding.ts';
import type { QuicStream } from './stream.ts';

/**
 * Bytes that a stream gives to quiche before the next one's turn. quiche (0.18) puts no two streams into one packet: the last one of a
 * share is seldom full.
 */
const SHARE = 48 * 1024;

/**
 * Lets the streams that have something to send take turns. What is given to quiche can no longer be overtaken, so it is given
 * late, and little at a time.
 */
export class Scheduler {
  #ready: QuicStream[] = [];
  /** Streams whose own window is closed. */
  readonly #parked = new Map<number, QuicStream>();

  /** Whether no stream has anything to send. */
  get isIdle(): boolean {
    return this.#ready.length === 0 && this.#parked.size === 0;
  }

  add(stream: QuicStream): void {
    if (stream.scheduled || !stream.sendable) return;
    stream.scheduled = true;
    this.#ready.push(stream);
  }

  forget(stream: QuicStream): void {
    this.#parked.delete(stream.id);
  }

  /** Gives quiche about `limit` bytes. True: it would take more. */
  transmit(native: QuicheConnection, limit: number): boolean {
    this.#unpark(native);
    let left = limit;
    while (left > 0) {
      const stream = this.#ready.shift();
      if (stream === undefined) return false;
      const share = Math.min(SHARE, left);
      const sent = stream.transmit(native, share);
      left -= sent;
      if (!stream.sendable) stream.scheduled = false;
      else if (sent >= share) this.#ready.push(stream);
      else if (isFull(native)) {
        this.#ready.unshift(stream);
        return false;
      } else this.#parked.set(stream.id, stream);
    }
    return this.#ready.length > 0;
  }

  #unpark(native: QuicheConnection): void {
    if (this.#parked.size === 0) return;
    for (const id of native.writable()) {
      const stream = this.#parked.get(id);
      if (stream === undefined) continue;
      this.#parked.delete(id);
      this.#ready.push(stream);
    }
  }
}

/** Whether it is the whole connection that has no room, rather than one stream. */
function isFull(native: QuicheConnection): boolean {
  for (const _id of native.writable()) return false;
  return true;
}
