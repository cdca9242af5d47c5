import type { YamuxStream } from './stream.ts';

/** Bytes of urgent streams after which a bulk frame gets its turn, if one waits: urgent is first, not alone. */
const URGENT_RUN = 64 * 1024;

/** Who sends next: urgent streams before the others, each kind in turn. */
export class Scheduler {
  #urgent: YamuxStream[] = [];
  #bulk: YamuxStream[] = [];
  /** Urgent bytes since bulk had its turn. */
  #run = 0;

  get idle(): boolean {
    return this.#bulk.length === 0 && this.#urgent.length === 0;
  }

  /** The stream wants a turn, if it has something to send. */
  add(stream: YamuxStream): void {
    if (stream.scheduled || !stream.sendable) return;
    stream.scheduled = true;
    (stream.urgent ? this.#urgent : this.#bulk).push(stream);
  }

  /** Takes out whose turn it is. It may have been removed or sent all it had meanwhile. */
  next(): YamuxStream | undefined {
    const isBulk = this.#urgent.length === 0 || (this.#run >= URGENT_RUN && this.#bulk.length > 0);
    const stream = (isBulk ? this.#bulk : this.#urgent).shift();
    if (isBulk) this.#run = 0;
    if (stream !== undefined) stream.scheduled = false;
    return stream;
  }

  /** The stream has sent so many bytes. */
  sent(stream: YamuxStream, bytes: number): void {
    if (stream.urgent) this.#run += bytes;
  }

  clear(): void {
    this.#urgent = [];
    this.#bulk = [];
  }
}
