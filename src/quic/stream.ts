import type { ByteStream, ByteStreamHandler } from '../carrier.ts';
import { ByteQueue } from '../net/byte-queue.ts';
import type { QuicheConnection } from './binding.ts';
import { ProtocolError } from './ending.ts';
import type { Slab } from './slab.ts';

/** What a stream needs of its carrier. */
export interface StreamHost {
  /** The stream has something to send. */
  schedule(stream: QuicStream): void;
  /** The stream has been attached to: it takes what is there, now. */
  read(stream: QuicStream): void;
  /** The stream can take more, at the next turn. */
  wake(): void;
  /** Bytes have come from quiche, or gone to it. */
  received(bytes: number): void;
  sent(bytes: number): void;
  /** The stream was open and is not any more, though there may be bytes to send and to read. */
  closed(stream: QuicStream, wasReset: boolean): void;
  /** Nothing of the stream is left to send or to read. */
  finished(stream: QuicStream): void;
}

/** Bytes queued at which the writer is told to wait. */
const SEND_MARK = 64 * 1024;

/** Bytes that the user may hold; more stays in quiche, whose windows then stop the peer. */
const MAX_UNCONSUMED = 256 * 1024;

/** Bytes read at a time: room for less is not worth a call. */
const MIN_READ = 8 * 1024;
const MAX_READ = 32 * 1024;

/** The longest piece given to quiche at a time. */
const PIECE = 16 * 1024;

/**
 * The last byte of each direction, together with FIN, says what the end is. A FIN alone would not do: quiche (0.18) may forget a
 * stream before it has sent one, once all bytes before it are acknowledged.
 */
const END = Buffer.from([0]);
const RESET = Buffer.from([1]);

/** One stream of a QUIC carrier. */
export class QuicStream implements ByteStream {
  readonly id: number;
  /** It is in the scheduler's hands. */
  scheduled = false;
  readonly #host: StreamHost;
  #handler: ByteStreamHandler | undefined;
  readonly #queue = new ByteQueue();
  /** The front of the queue, of which quiche may have taken a part. */
  readonly #pieces: Buffer[] = [];
  #unsent = 0;
  #full = false;
  /** What to send behind the last byte. */
  #last: Buffer | undefined;
  #lastSent = false;
  #unconsumed = 0;
  #lastRead = false;
  #closed = false;
  #wasReset = false;

  constructor(host: StreamHost, id: number) {
    this.#host = host;
    this.id = id;
  }

  attach(handler: ByteStreamHandler): void {
    this.#handler = handler;
    if (this.#wasReset) this.#tellReset();
    else this.#host.read(this);
  }

  write(chunk: Buffer, _more = false): boolean {
    if (this.#last !== undefined) return true;
    this.#queue.push(chunk);
    this.#unsent += chunk.length;
    this.#full ||= this.#unsent >= SEND_MARK;
    this.#host.schedule(this);
    return !this.#full;
  }

  end(): void {
    if (this.#last !== undefined) return;
    this.#last = END;
    this.#host.schedule(this);
  }

  reset(): void {
    this.#handler = undefined;
    this.#discard();
  }

  /** The peer has reset the stream, or there is no connection any more. */
  kill(): void {
    if (this.#closed) return;
    this.#discard();
    this.#tellReset();
  }

  consume(bytes: number): void {
    const wasFull = !this.#wantsBytes;
    this.#unconsumed -= bytes;
    // Not from here: the user may be in the midst of taking bytes.
    if (wasFull && this.#wantsBytes) this.#host.wake();
  }

  /** Whether there is something to give to quiche. */
  get sendable(): boolean {
    return this.#unsent > 0 || (this.#last !== undefined && !this.#lastSent);
  }

  /** Delivers what quiche has, as far as it is wanted. */
  receive(native: QuicheConnection, slab: Slab): void {
    while (this.#wantsBytes) {
      const limit = this.#wasReset ? MAX_READ : Math.min(MAX_READ, MAX_UNCONSUMED - this.#unconsumed);
      const room = slab.room(MIN_READ, limit);
      const read = native.streamRecv(this.id, room);
      if (read === null) return;
      const [size, isEnd] = read;
      this.#host.received(size);
      // What is thrown away leaves its room to what comes next.
      if (this.#wasReset) this.#lastRead = isEnd;
      else this.#deliver(slab.take(size), isEnd);
      this.#finishIfDone();
      // There is no more, and to hear so costs as much as a packet.
      if (size < room.length) return;
    }
  }

  /**
   * Gives quiche up to `limit` bytes, and the end behind the last. Returns how many it took; when that is less and `sendable`
   * is still true, it has no room.
   */
  transmit(native: QuicheConnection, limit: number): number {
    let sent = 0;
    while (sent < limit && this.sendable) {
      const piece = this.#nextPiece(limit - sent);
      const isLast = this.#unsent === 0;
      const taken = native.streamSend(this.id, piece, isLast) ?? 0;
      if (isLast) this.#lastSent = taken > 0;
      else this.#drop(taken);
      sent += taken;
      this.#drain();
      if (taken < piece.length) break;
    }
    this.#host.sent(sent);
    if (this.#lastSent) this.#finishIfDone();
    return sent;
  }

  /** Tells a writer that waits that there is room. It may write at once. */
  #drain(): void {
    if (!this.#full || this.#lastSent || this.#unsent > SEND_MARK / 2) return;
    this.#full = false;
    this.#handler?.onDrain();
  }

  get #wantsBytes(): boolean {
    if (this.#lastRead) return false;
    return this.#wasReset || (this.#handler !== undefined && this.#unconsumed + MIN_READ <= MAX_UNCONSUMED);
  }

  #deliver(chunk: Buffer, isEnd: boolean): void {
    const bytes = isEnd ? chunk.subarray(0, -1) : chunk;
    this.#lastRead = isEnd;
    if (bytes.length > 0) {
      this.#unconsumed += bytes.length;
      this.#handler?.onData(bytes);
    }
    if (!isEnd) return;
    if (chunk.at(-1) === RESET[0]) this.kill();
    else if (chunk.at(-1) !== END[0]) throw new ProtocolError('a stream without an end');
    else if (!this.#wasReset) this.#handler?.onEnd();
  }

  #nextPiece(limit: number): Buffer {
    if (this.#unsent === 0) return this.#last as Buffer;
    if (this.#pieces.length === 0) this.#queue.take(PIECE, this.#pieces);
    const piece = this.#pieces[0] as Buffer;
    return piece.length > limit ? piece.subarray(0, limit) : piece;
  }

  #drop(taken: number): void {
    const first = this.#pieces[0] as Buffer;
    if (taken === first.length) this.#pieces.shift();
    else this.#pieces[0] = first.subarray(taken);
    this.#unsent -= taken;
  }

  #discard(): void {
    if (this.#closed) return;
    this.#wasReset = true;
    this.#queue.clear();
    this.#pieces.length = 0;
    this.#unsent = 0;
    if (!this.#lastSent) this.#last = RESET;
    this.#close();
    this.#host.schedule(this);
  }

  #finishIfDone(): void {
    if (!this.#lastSent || !this.#lastRead) return;
    this.#close();
    this.#host.finished(this);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#host.closed(this, this.#wasReset);
  }

  #tellReset(): void {
    const handler = this.#handler;
    this.#handler = undefined;
    handler?.onReset();
  }
}
