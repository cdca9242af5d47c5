import { BLOCK_SIZE, type BlockPool } from './block-pool.ts';
import { SLAB, withoutPinning } from './byte-queue.ts';

/** A smaller chunk gets no block. */
const WORTH_A_BLOCK = BLOCK_SIZE / 8;

const NOTHING: Piece = { bytes: Buffer.alloc(0) };

/** Some of the bytes. `block`: the pool's memory that they lie in. */
interface Piece {
  bytes: Buffer;
  readonly block?: Buffer;
}

/**
 * Numbered bytes that are kept until the peer has them: pushed at the end, taken from a cursor, given up from the start as
 * they are acknowledged, and taken once more after `rewind`. Whatever is pushed behind something else is copied, into blocks
 * of a pool: bytes that were handed out stay as they are until they have been acknowledged, and no longer. Every operation
 * costs as many steps as pieces it passes.
 */
export class RetainedQueue {
  readonly #pool: BlockPool;
  #pieces: Piece[] = [];
  /** The first piece that is not acknowledged to its last byte, and the offset of its first. */
  #head = 0;
  #headOffset = 0;
  #acknowledged = 0;
  /** The piece that the cursor is in (or behind the last one), and how much of that it has passed. */
  #at = 0;
  #within = 0;
  #cursor = 0;
  #end = 0;
  /** The memory that the last piece begins, while that is ours; it may be full. */
  #tail: Buffer | undefined;

  constructor(pool: BlockPool) {
    this.#pool = pool;
  }

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
    if (this.length === 0) this.#pieces.push({ bytes: withoutPinning(chunk) });
    else this.#append(chunk);
    this.#end += chunk.length;
  }

  /** Appends up to `limit` bytes from the cursor to `into`, moves the cursor behind them, and returns how many they are. */
  take(limit: number, into: Buffer[]): number {
    const wanted = Math.min(limit, this.ahead);
    for (let left = wanted; left > 0; ) {
      const { bytes } = this.#pieces[this.#at] as Piece;
      const size = Math.min(left, bytes.length - this.#within);
      if (size === 0) {
        // Only now is it certain that the piece has not grown.
        this.#at += 1;
        this.#within = 0;
        continue;
      }
      into.push(size === bytes.length ? bytes : bytes.subarray(this.#within, this.#within + size));
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
    while (this.#head < this.#pieces.length) {
      const { bytes, block } = this.#pieces[this.#head] as Piece;
      if (this.#headOffset + bytes.length > offset) break;
      if (block !== undefined) this.#pool.give(block);
      this.#pieces[this.#head] = NOTHING;
      this.#head += 1;
      this.#headOffset += bytes.length;
    }
    if (this.#head === this.#pieces.length) this.#empty();
    else if (this.#cursor <= offset) this.rewind();
    if (this.#head > 1024) {
      this.#pieces.splice(0, this.#head);
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

  /** Forgets all bytes. Those that were handed out stay as they are. */
  clear(): void {
    for (const { block } of this.#pieces) if (block !== undefined) this.#pool.abandon();
    this.#acknowledged = this.#end;
    this.#empty();
  }

  #append(chunk: Buffer): void {
    for (let copied = 0; copied < chunk.length; ) {
      const last = this.#pieces[this.#pieces.length - 1] as Piece;
      const used = last.bytes.length;
      if (this.#tail === undefined || used === this.#tail.length) {
        this.#extend(chunk.length >= WORTH_A_BLOCK);
        continue;
      }
      const size = chunk.copy(this.#tail, used, copied);
      last.bytes = this.#tail.subarray(0, used + size);
      copied += size;
    }
  }

  /** Begins another piece: a block where there is much to come, else in less memory. */
  #extend(much: boolean): void {
    const block = much ? this.#pool.take() : undefined;
    this.#tail = block ?? Buffer.allocUnsafeSlow(SLAB);
    this.#pieces.push({ bytes: this.#tail.subarray(0, 0), ...(block && { block }) });
  }

  #empty(): void {
    this.#pieces.length = 0;
    this.#tail = undefined;
    this.#head = 0;
    this.#headOffset = this.#end;
    this.#at = 0;
    this.#within = 0;
    this.#cursor = this.#end;
  }
}
