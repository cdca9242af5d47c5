/** Up to this many bytes, a chunk is copied behind its predecessor: a list of tiny slices would pin the large buffers they came from. */
const SMALL = 2048;
const SLAB = 16 * 1024;

/** A chunk that is a smaller part than this of the memory it lies in is copied out, or little data would keep much alive. */
const MIN_SHARE = 1 / 8;

/** Appends chunks to a list as they are, small ones excepted, which are copied together. One for each list. */
export class ChunkAppender {
  #slab: Buffer | undefined;
  #used = 0;
  /** The list's last chunk ends where the slab's free part begins. */
  #isLastOurs = false;

  append(chunk: Buffer, list: Buffer[]): void {
    const isSmall = list.length > 0 && chunk.length <= SMALL;
    if (isSmall) this.#appendSmall(chunk, list);
    else list.push(withoutPinning(chunk));
    this.#isLastOurs = isSmall;
  }

  /** The list is empty again. */
  reset(): void {
    this.#slab = undefined;
    this.#isLastOurs = false;
  }

  #appendSmall(chunk: Buffer, list: Buffer[]): void {
    if (this.#slab === undefined || this.#used + chunk.length > SLAB) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB);
      this.#used = 0;
      this.#isLastOurs = false;
    }
    const tail = this.#isLastOurs ? (list.pop()?.length ?? 0) : 0;
    const start = this.#used - tail;
    this.#used += chunk.copy(this.#slab, this.#used);
    list.push(this.#slab.subarray(start, this.#used));
  }
}

/** In memory of its own, unlike `Buffer.from`, whose pool it would keep alive. */
export function copyOf(chunk: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(chunk.length);
  chunk.copy(copy);
  return copy;
}

/** The chunk, or a copy where keeping it would keep much more memory than its own. */
function withoutPinning(chunk: Buffer): Buffer {
  return chunk.length < chunk.buffer.byteLength * MIN_SHARE ? copyOf(chunk) : chunk;
}
