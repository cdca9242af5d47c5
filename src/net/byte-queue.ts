/** Below this, a chunk is copied behind its predecessor: a queue of tiny slices would pin the large buffers they came from. */
const SMALL = 2048;
export const SLAB = 16 * 1024;
const NOTHING = Buffer.alloc(0);

/** A chunk that is a smaller part than this of the memory it lies in is copied out, or little data would keep much alive. */
const MIN_SHARE = 1 / 8;

/** A first-in first-out queue of bytes that hands out what it was given without copying, small chunks excepted. */
export class ByteQueue {
  #chunks: Buffer[] = [];
  #head = 0;
  #length = 0;
  /** Where small chunks go, and whether the last chunk is there. */
  #slab: Buffer | undefined;
  #slabUsed = 0;
  #isLastOurs = false;

  /** Bytes waiting. */
  get length(): number {
    return this.#length;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    if (this.#length > 0 && chunk.length <= SMALL) this.#pushSmall(chunk);
    else {
      this.#chunks.push(withoutPinning(chunk));
      this.#isLastOurs = false;
    }
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
    this.#slab = undefined;
  }

  #pushSmall(chunk: Buffer): void {
    if (this.#slab === undefined || this.#slabUsed + chunk.length > SLAB) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB);
      this.#slabUsed = 0;
      this.#isLastOurs = false;
    }
    const start = this.#slabUsed;
    this.#slabUsed += chunk.copy(this.#slab, start);
    if (this.#isLastOurs) {
      const last = this.#chunks.length - 1;
      const tail = this.#chunks[last] as Buffer;
      this.#chunks[last] = this.#slab.subarray(start - tail.length, this.#slabUsed);
    } else this.#chunks.push(this.#slab.subarray(start, this.#slabUsed));
    this.#isLastOurs = true;
  }

  #compact(): void {
    if (this.#length === 0) {
      this.#chunks.length = 0;
      this.#head = 0;
      this.#slab = undefined;
    } else if (this.#head > 1024) {
      this.#chunks.splice(0, this.#head);
      this.#head = 0;
    }
  }
}

/** The chunk, or a copy where keeping it would keep much more memory than its own. */
export function withoutPinning(chunk: Buffer): Buffer {
  return chunk.length < chunk.buffer.byteLength * MIN_SHARE ? copyOf(chunk) : chunk;
}

/** In memory of its own, unlike `Buffer.from`, whose pool it would keep alive. */
export function copyOf(chunk: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(chunk.length);
  chunk.copy(copy);
  return copy;
}
