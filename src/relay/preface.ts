import type { ByteStream, ByteStreamHandler } from '../carrier.ts';
import { ByteQueue } from '../net/byte-queue.ts';

/** What the server writes first on a link's outer stream: 16 bytes of link id, and which of the link's lanes it is. */
export interface Preface {
  readonly link: Buffer;
  readonly lane: number;
}

const LINK_ID_SIZE = 16;
const PREFACE_SIZE = LINK_ID_SIZE + 1;

/** The lane that carries a link's byte streams. */
export const BULK_LANE = 0;

/** The lane that carries a link's datagrams. */
export const DATAGRAM_LANE = 1;

export function encodePreface({ link, lane }: Preface): Buffer {
  const preface = Buffer.alloc(PREFACE_SIZE);
  link.copy(preface, 0, 0, LINK_ID_SIZE);
  preface[LINK_ID_SIZE] = lane;
  return preface;
}

/** A stream that the server opened: tells its preface once that is there, and is an ordinary stream of what follows. */
export class PrefacedStream implements ByteStream, ByteStreamHandler {
  readonly #stream: ByteStream;
  readonly #onPreface: (preface: Preface, stream: ByteStream) => void;
  readonly #preface = Buffer.alloc(PREFACE_SIZE);
  #filled = 0;
  #handler: ByteStreamHandler | undefined;
  /** What came behind the preface before anybody attached, bounded by the stream's window. */
  readonly #early = new ByteQueue();
  #over: 'end' | 'reset' | undefined;

  /** @param onPreface called at most once; a stream that ends before its preface is complete is reset */
  constructor(stream: ByteStream, onPreface: (preface: Preface, stream: ByteStream) => void) {
    this.#stream = stream;
    this.#onPreface = onPreface;
    stream.attach(this);
  }

  attach(handler: ByteStreamHandler): void {
    this.#handler = handler;
    const early: Buffer[] = [];
    this.#early.take(Number.POSITIVE_INFINITY, early);
    // The handler may reset the stream from inside, and hears nothing more then.
    for (const chunk of early) this.#handler?.onData(chunk);
    if (this.#over === 'end') this.#handler?.onEnd();
    if (this.#over === 'reset') this.#handler?.onReset();
  }

  write(chunk: Buffer, more?: boolean): boolean {
    return this.#stream.write(chunk, more);
  }

  end(): void {
    this.#stream.end();
  }

  reset(): void {
    this.#handler = undefined;
    this.#stream.reset();
  }

  consume(bytes: number): void {
    this.#stream.consume(bytes);
  }

  onData(chunk: Buffer): void {
    if (this.#handler !== undefined) this.#handler.onData(chunk);
    else if (this.#filled === PREFACE_SIZE) this.#early.push(chunk);
    else this.#collect(chunk);
  }

  onEnd(): void {
    this.#over = 'end';
    if (this.#filled < PREFACE_SIZE) this.#stream.reset();
    else this.#handler?.onEnd();
  }

  onReset(): void {
    this.#over = 'reset';
    this.#handler?.onReset();
  }

  onDrain(): void {
    this.#handler?.onDrain();
  }

  #collect(chunk: Buffer): void {
    const copied = chunk.copy(this.#preface, this.#filled);
    this.#filled += copied;
    this.#stream.consume(copied);
    this.#early.push(chunk.subarray(copied));
    if (this.#filled < PREFACE_SIZE) return;
    const link = this.#preface.subarray(0, LINK_ID_SIZE);
    this.#onPreface({ link, lane: this.#preface[LINK_ID_SIZE] as number }, this);
  }
}
