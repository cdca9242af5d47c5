/** Bytes of a block: as many as a socket is read at a time. */
export const BLOCK_SIZE = 64 * 1024;

/** Free ones may be so many for each that is in use, and these at least while any is: much is acknowledged at a time. */
const FREE_PER_USED = 4;
const MIN_FREE = 16;

/**
 * Memory that is used again and again, as long as any of it is in use. What lives for some milliseconds and is then left to the
 * garbage collector is old enough for V8 to go through the whole heap for it, each time some dozen MiB have come together.
 */
export class BlockPool {
  readonly #free: Buffer[] = [];
  #used = 0;

  /** A block with anything in it. */
  take(): Buffer {
    this.#used += 1;
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_SIZE);
  }

  /** A block is not needed any more, and may be overwritten. */
  give(block: Buffer): void {
    this.#free.push(block);
    this.#leave();
  }

  /** A block is not needed any more, but who has seen it may go on to read it. */
  abandon(): void {
    this.#leave();
  }

  #leave(): void {
    this.#used -= 1;
    const most = this.#used === 0 ? 0 : Math.max(MIN_FREE, this.#used * FREE_PER_USED);
    if (this.#free.length > most) this.#free.length = most;
  }
}
