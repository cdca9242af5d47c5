import { ChunkAppender } from './chunk-appender.ts';

const NOTHING = Buffer.alloc(0);

/** A first-in first-out queue of bytes that hands out what it was given without copying, small chunks excepted. */
export class ByteQueue {
  #chunks: Buffer[] = [];
  #head = 0;
  #length = 0;
  readonly #appender = new ChunkAppender();

  /** Bytes waiting. */
  get length(): number {
    return this.#length;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#appender.append(chunk, this.#chunks);
    this.#length += chunk.length;
  }

  /** Appends up to `limit` bytes from the front to `into`, and returns how many. */
  take(limit: number, into: Buffer[]): number {
    let taken = 0;
    while (taken < limit && this.#length > 0) {
      const chunk = this.#chunks[this.#head] as Buffer;
      const room = limit - taken;
      if (chunk.length > room) {
        into.push(chunk.subarray(0, room));
        this.#chunks[this.#head] = chunk.subarray(room);
        this.#length -= room;
        return taken + room;
      }
      into.push(chunk);
      taken += chunk.length;
      this.#length -= chunk.length;
      // What was handed out is not kept alive until the array is compacted.
      this.#chunks[this.#head] = NOTHING;
      this.#head += 1;
    }
    this.#compact();
    return taken;
  }

  clear(): void {
    this.#chunks = [];
    this.#head = 0;
    this.#length = 0;
    this.#appender.reset();
  }

  #compact(): void {
    if (this.#length === 0) {
      this.#chunks.length = 0;
      this.#head = 0;
      this.#appender.reset();
    } else if (this.#head > 1024) {
      this.#chunks.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
