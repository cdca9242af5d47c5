import type { ByteStream, ByteStreamHandler } from '../../carrier.ts';
import type { Runtime, Timer } from '../../net/runtime.ts';
import {
  CHANNEL_HEADER_SIZE,
  ChannelError,
  type ChannelHeader,
  decodeChannelHeader,
  encodeReset,
  ResetCode,
} from './channel-frame.ts';

/** How long a peer may take from opening a stream to saying what it is for, milliseconds. */
const HEADER_TIMEOUT = 10_000;

/**
 * Reads the channel header of a stream that the peer opened. Exactly one of the two callbacks is called.
 * @param onHeader `rest` is what follows the header, as a stream of its own: attach to it or reset it before returning
 * @param onBad there is no header to be had, and the stream has been ended; `problem` is the peer's offence, if it is one
 */
export function readOpening(
  stream: ByteStream,
  runtime: Runtime,
  onHeader: (header: ChannelHeader, rest: ByteStream) => void,
  onBad: (problem: string | undefined) => void,
): void {
  new Opening(stream, onHeader, onBad).start(runtime);
}

/** Answers a lane that nobody takes: the peer is told why, and whatever follows is thrown away. @param code one of ResetCode */
export function refuseLane(stream: ByteStream, code: number): void {
  stream.attach({
    onData: (chunk) => stream.consume(chunk.length),
    onEnd: () => {},
    onReset: () => {},
    onDrain: () => {},
  });
  stream.write(encodeReset(code));
  stream.end();
}

/** First the reader of a stream's header, then the stream of what follows. */
class Opening implements ByteStream, ByteStreamHandler {
  readonly #stream: ByteStream;
  readonly #onHeader: (header: ChannelHeader, rest: ByteStream) => void;
  readonly #onBad: (problem: string | undefined) => void;
  readonly #header = Buffer.alloc(CHANNEL_HEADER_SIZE);
  #filled = 0;
  #timer: Timer | undefined;
  #state: 'reading' | 'read' | 'over' = 'reading';
  #handler: ByteStreamHandler | undefined;
  /** What came with the header before anybody attached: the rest of one chunk. */
  #early: Buffer | undefined;

  constructor(
    stream: ByteStream,
    onHeader: (header: ChannelHeader, rest: ByteStream) => void,
    onBad: (problem: string | undefined) => void,
  ) {
    this.#stream = stream;
    this.#onHeader = onHeader;
    this.#onBad = onBad;
  }

  start(runtime: Runtime): void {
    this.#stream.attach(this);
    if (this.#state !== 'reading') return;
    this.#timer = runtime.setTimer(HEADER_TIMEOUT, () => {
      this.#stream.reset();
      this.#fail(undefined);
    });
  }

  attach(handler: ByteStreamHandler): void {
    this.#handler = handler;
    const early = this.#early;
    this.#early = undefined;
    if (early !== undefined) handler.onData(early);
  }

  write(chunk: Buffer, more?: boolean): boolean {
    return this.#stream.write(chunk, more);
  }

  end(): void {
    this.#stream.end();
  }

  reset(): void {
    this.#state = 'over';
    this.#handler = undefined;
    this.#stream.reset();
  }

  consume(bytes: number): void {
    this.#stream.consume(bytes);
  }

  onData(chunk: Buffer): void {
    if (this.#handler !== undefined) this.#handler.onData(chunk);
    else if (this.#state === 'reading') this.#collect(chunk);
    else this.#stream.consume(chunk.length);
  }

  onEnd(): void {
    if (this.#state === 'reading') {
      this.#stream.reset();
      this.#fail(undefined);
    } else this.#handler?.onEnd();
  }

  onReset(): void {
    if (this.#state === 'reading') this.#fail(undefined);
    else this.#handler?.onReset();
  }

  onDrain(): void {
    this.#handler?.onDrain();
  }

  #collect(chunk: Buffer): void {
    const copied = chunk.copy(this.#header, this.#filled);
    this.#filled += copied;
    this.#stream.consume(copied);
    if (this.#filled < CHANNEL_HEADER_SIZE) return;
    let header: ChannelHeader;
    try {
      header = decodeChannelHeader(this.#header);
    } catch (error) {
      if (!(error instanceof ChannelError)) throw error;
      this.#stream.consume(chunk.length - copied);
      this.#stream.write(encodeReset(ResetCode.protocolError));
      this.#stream.end();
      this.#fail(error.message);
      return;
    }
    this.#timer?.cancel();
    this.#state = 'read';
    if (copied < chunk.length) this.#early = chunk.subarray(copied);
    this.#onHeader(header, this);
    // Nobody wants it: what comes would be lost.
    if (this.#handler === undefined && this.#state === 'read') this.reset();
  }

  #fail(problem: string | undefined): void {
    this.#timer?.cancel();
    this.#state = 'over';
    this.#onBad(problem);
  }
}
