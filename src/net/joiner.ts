/** Memory for joining: garbage of this size keeps the collector busy, so it is used again. */
const SCRATCH_SIZE = 128 * 1024;
const MAX_SCRATCH = 4;

/** Below this, joining needs no memory of its own to be cheap. */
const SMALL = 4 * 1024;

/** Several buffers as one. */
export interface Joined {
  readonly bytes: Buffer;
  /** Nobody reads `bytes` any more. Call it once, at most. */
  release(): void;
}

const keep = (): void => {};

/** Makes one buffer of several, for sinks that take one more cheaply than many. */
export class Joiner {
  readonly #free: Buffer[] = [];

  /** The bytes of `buffers` from index `from` up to `to`. */
  join(buffers: readonly Buffer[], from = 0, to = buffers.length): Joined {
    if (to - from === 1) return { bytes: buffers[from] as Buffer, release: keep };
    let size = 0;
    for (let i = from; i < to; i++) size += (buffers[i] as Buffer).length;
    if (size < SMALL || size > SCRATCH_SIZE) {
      return { bytes: Buffer.concat(buffers.slice(from, to), size), release: keep };
    }
    const scratch = this.#free.pop() ?? Buffer.allocUnsafeSlow(SCRATCH_SIZE);
    let at = 0;
    for (let i = from; i < to; i++) at += (buffers[i] as Buffer).copy(scratch, at);
    const release = (): void => {
      if (this.#free.length < MAX_SCRATCH) this.#free.push(scratch);
    };
    return { bytes: scratch.subarray(0, size), release };
  }
}
