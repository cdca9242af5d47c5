const BLOCK = 4096;
/** How far around a wrong byte it is looked for where it came from. */
const REACH = 1 << 20;
/** So many bytes do not come twice by chance. */
const SAMPLE = 12;

/** An endless stream of pseudo-random bytes, any part of which can be had at once: two ends with one seed agree on every byte. */
export class Pattern {
  readonly #seed: number;
  #index = -1;
  #block: Buffer = Buffer.alloc(0);

  constructor(seed: number) {
    this.#seed = seed;
  }

  bytes(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; ) {
      const part = this.#partAt(offset + at, length - at);
      part.copy(bytes, at);
      at += part.length;
    }
    return bytes;
  }

  /** The index of the first byte of a chunk that is not what belongs at that offset; undefined when all are right. */
  mismatch(offset: number, chunk: Buffer): number | undefined {
    for (let at = 0; at < chunk.length; ) {
      const part = this.#partAt(offset + at, chunk.length - at);
      const same = chunk.subarray(at, at + part.length);
      if (!same.equals(part)) return at + part.findIndex((byte, index) => byte !== same[index]);
      at += part.length;
    }
    return undefined;
  }

  /** Where in the stream such bytes are, looked for within a mebibyte: whether something was repeated or left out. */
  locate(around: number, bytes: Buffer): number | undefined {
    if (bytes.length < SAMPLE) return undefined;
    const from = Math.max(0, around - REACH);
    const found = this.bytes(from, 2 * REACH).indexOf(bytes.subarray(0, SAMPLE));
    return found < 0 ? undefined : from + found;
  }

  #partAt(offset: number, longest: number): Buffer {
    const index = Math.floor(offset / BLOCK);
    if (index !== this.#index) {
      this.#block = draw(this.#seed, index);
      this.#index = index;
    }
    const start = offset - index * BLOCK;
    return this.#block.subarray(start, Math.min(BLOCK, start + longest));
  }
}

/** mulberry32 again, a word at a time. */
function draw(seed: number, index: number): Buffer {
  const words = new Uint32Array(BLOCK / 4);
  let state = Math.imul(seed ^ Math.imul(index + 1, 0x9e3779b1), 0x85ebca6b) >>> 0;
  for (let i = 0; i < words.length; i++) {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    words[i] = (t ^ (t >>> 14)) >>> 0;
  }
  return Buffer.from(words.buffer);
}
