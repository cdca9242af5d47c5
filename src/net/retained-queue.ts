import { ChunkAppender } from './chunk-appender.ts';

const NOTHING = Buffer.alloc(0);

/**
 * Numbered bytes that are kept until the peer has them: pushed at the end, taken from a cursor, given up from the start as
 * they are acknowledged, and taken once more after `rewind`. It hands out slices of what it was given; small chunks are
 * copied together. Every operation costs as many steps as chunks it passes.
 */
export class RetainedQueue {
  #chunks: Buffer[] = [];
  /** The first chunk that is not acknowledged to its last byte, and the offset of its first. */
  #head = 0;
  #headOffset = 0;
  #acknowledged = 0;
  /** The chunk that the cursor is in (or behind the last one), and how much of that it has passed. */
  #at = 0;
  #within = 0;
  #cursor = 0;
  #end = 0;
  readonly #appender = new ChunkAppender();

  /** The offset up to which everything is acknowledged: the first that is kept. */
  get start(): number {
    return this.#acknowledged;
  }

  /** The offset of what `take` yields next. */
  get cursor(): number {
    return this.#cursor;
  }

  /** The offset behind the last byte. */
  get end(): number {
    return this.#end;
  }

  /** Bytes that are kept. */
  get length(): number {
    return this.#end - this.#acknowledged;
  }

  /** Bytes from the cursor to the end. */
  get ahead(): number {
    return this.#end - this.#cursor;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#appender.append(chunk, this.#chunks);
    this.#end += chunk.length;
  }

  /** Appends up to `limit` bytes from the cursor to `into`, moves the cursor behind them, and returns how many they are. */
  take(limit: number, into: Buffer[]): number {
    const wanted = Math.min(limit, this.ahead);
    for (let left = wanted; left > 0; ) {
      const chunk = this.#chunks[this.#at] as Buffer;
      const size = Math.min(left, chunk.length - this.#within);
      if (size === 0) {
        // Only now is it certain that the chunk has not grown.
        this.#at += 1;
        this.#within = 0;
        continue;
      }
      into.push(size === chunk.length ? chunk : chunk.subarray(this.#within, this.#within + size));
      left -= size;
      this.#within += size;
    }
    this.#cursor += wanted;
    return wanted;
  }

  /**
   * Gives up what is before `offset`, which is at most `end`, and returns how many bytes that was. A cursor that was before it
   * is moved to it; an offset that was acknowledged already changes nothing.
   */
  acknowledge(offset: number): number {
    const released = offset - this.#acknowledged;
    if (released <= 0) return 0;
    this.#acknowledged = offset;
    if (offset === this.#end) {
      this.#empty();
      return released;
    }
    for (;;) {
      const next = this.#headOffset + (this.#chunks[this.#head] as Buffer).length;
      if (next > offset) break;
      this.#chunks[this.#head] = NOTHING;
      this.#head += 1;
      this.#headOffset = next;
    }
    if (this.#cursor <= offset) this.rewind();
    if (this.#head > 1024) {
      this.#chunks.splice(0, this.#head);
      this.#at -= this.#head;
      this.#head = 0;
    }
    return released;
  }

  /** Puts the cursor back to the first byte that is not acknowledged. */
  rewind(): void {
    this.#at = this.#head;
    this.#within = this.#acknowledged - this.#headOffset;
    this.#cursor = this.#acknowledged;
  }

  /** Forgets all bytes as if they were acknowledged. */
  clear(): void {
    this.#acknowledged = this.#end;
    this.#empty();
  }

  #empty(): void {
    this.#chunks.length = 0;
    this.#appender.reset();
    this.#head = 0;
    this.#headOffset = this.#end;
    this.#at = 0;
    this.#within = 0;
    this.#cursor = this.#end;
  }
}
