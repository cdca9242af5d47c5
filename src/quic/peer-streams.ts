import { ProtocolError } from './ending.ts';

/** Ids of streams that the subscriber opens: 0, 4, 8 … (RFC 9000 section 2.1). */
export const STREAM_STEP = 4;

/** Knows which streams the peer has opened before; they may be heard of in any order. */
export class PeerStreams {
  readonly #maxAhead: number;
  #next = 0;
  /** Ids below `next` that have not been heard of. */
  readonly #skipped = new Set<number>();

  /** @param maxAhead how many streams at most may have been left out so far */
  constructor(maxAhead: number) {
    this.#maxAhead = maxAhead;
  }

  /** Whether the stream is heard of for the first time. */
  isNew(id: number): boolean {
    if (id < this.#next) return this.#skipped.delete(id);
    if (id % STREAM_STEP !== 0) throw new ProtocolError(`stream ${id}`);
    const ahead = (id - this.#next) / STREAM_STEP;
    if (this.#skipped.size + ahead > this.#maxAhead) throw new ProtocolError(`stream ${id}`);
    for (let skipped = this.#next; skipped < id; skipped += STREAM_STEP) this.#skipped.add(skipped);
    this.#next = id + STREAM_STEP;
    return true;
  }
}
