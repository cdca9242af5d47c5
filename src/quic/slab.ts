const SLAB_SIZE = 64 * 1024;

/** Memory in which native code writes one thing after the other. Nothing is written twice: whoever got a piece may keep it. */
export class Slab {
  #bytes = Buffer.alloc(0);
  #used = 0;

  /** At least `size` bytes to write into, at most `limit`. */
  room(size: number, limit = size): Buffer {
    if (this.#bytes.length - this.#used < size) {
      this.#bytes = Buffer.allocUnsafeSlow(SLAB_SIZE);
      this.#used = 0;
    }
    return this.#bytes.subarray(this.#used, this.#used + limit);
  }

  /** What was written into the room that was given last. */
  take(size: number): Buffer {
    const start = this.#used;
    this.#used += size;
    return this.#bytes.subarray(start, this.#used);
  }
}
