/**
 * The yamux wire format (HashiCorp's specification, version 0).
 *
 * Every frame starts with 12 bytes: version u8, type u8, flags u16, stream u32, length u32, big-endian. In a data frame
 * `length` bytes follow; in the others `length` is a value.
 */
export const HEADER_SIZE = 12;
export const VERSION = 0;

export const FrameType = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const;

export const Flag = { syn: 1, ack: 2, fin: 4, rst: 8 } as const;
const ALL_FLAGS = Flag.syn | Flag.ack | Flag.fin | Flag.rst;

/** The reasons in a GoAway frame that are sent here. Any reason that arrives ends the session. */
export const GoAway = { normal: 0, protocolError: 1 } as const;

/** What both directions of a stream start with. */
export const INITIAL_WINDOW = 256 * 1024;

/** What both directions of an urgent stream start with, and how far they grow: whatever waits in them is late. */
export const URGENT_WINDOW = 64 * 1024;
export const MAX_URGENT_WINDOW = 1024 * 1024;

/** No sender needs longer data frames; a longer one is taken for garbage. */
export const MAX_DATA_LENGTH = 1024 * 1024;

/** The peer broke the wire format or the rules of the session. The message says how, for the log. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

export function encodeHeader(type: number, flags: number, stream: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_SIZE);
  header[0] = VERSION;
  header[1] = type;
  header.writeUInt16BE(flags, 2);
  header.writeUInt32BE(stream, 4);
  header.writeUInt32BE(length, 8);
  return header;
}

/** Where the decoder puts what it finds. */
export interface FrameSink {
  /** A header. For a data frame with a length, `onPayload` follows with the bytes, in one or more pieces. */
  onHeader(type: number, flags: number, stream: number, length: number): void;
  /** The next bytes of the data frame whose header came last. */
  onPayload(chunk: Buffer): void;
}

/** Cuts a byte stream into frames. Keeps at most one partial header; payload passes through without a copy. */
export class FrameDecoder {
  readonly #header = Buffer.alloc(HEADER_SIZE);
  #headerFilled = 0;
  #payloadLeft = 0;

  /** Throws FrameError on anything that no yamux peer sends; the decoder is of no use afterwards. */
  decode(chunk: Buffer, sink: FrameSink): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#payloadLeft > 0) {
        const end = Math.min(chunk.length, at + this.#payloadLeft);
        this.#payloadLeft -= end - at;
        sink.onPayload(at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end));
        at = end;
      } else if (this.#headerFilled === 0 && chunk.length - at >= HEADER_SIZE) {
        this.#decodeHeader(chunk, at, sink);
        at += HEADER_SIZE;
      } else {
        at += this.#collectHeader(chunk, at, sink);
      }
    }
  }

  #collectHeader(chunk: Buffer, at: number, sink: FrameSink): number {
    const copied = chunk.copy(this.#header, this.#headerFilled, at, at + HEADER_SIZE - this.#headerFilled);
    this.#headerFilled += copied;
    if (this.#headerFilled === HEADER_SIZE) {
      this.#headerFilled = 0;
      this.#decodeHeader(this.#header, 0, sink);
    }
    return copied;
  }

  #decodeHeader(bytes: Buffer, at: number, sink: FrameSink): void {
    const version = bytes[at] as number;
    const type = bytes[at + 1] as number;
    const flags = bytes.readUInt16BE(at + 2);
    const stream = bytes.readUInt32BE(at + 4);
    const length = bytes.readUInt32BE(at + 8);
    if (version !== VERSION) throw new FrameError(`version ${version}`);
    if (type > FrameType.goAway) throw new FrameError(`frame type ${type}`);
    if ((flags & ~ALL_FLAGS) !== 0) throw new FrameError(`flags ${flags}`);
    if (type === FrameType.data) {
      if (length > MAX_DATA_LENGTH) throw new FrameError(`data frame of ${length} bytes`);
      this.#payloadLeft = length;
    }
    sink.onHeader(type, flags, stream, length);
  }
}
