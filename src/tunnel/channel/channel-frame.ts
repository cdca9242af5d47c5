/**
 * The channel's wire format (docs/protocol.md, section 7). A lane, one stream of a carrier, starts with a header of 16 bytes
 * from its opener; then frames go both ways, each with 4 bytes in front: type u8, length u24, big-endian.
 */
export const CHANNEL_VERSION = 1;
export const CHANNEL_HEADER_SIZE = 16;
export const FRAME_HEADER_SIZE = 4;

/** What either side may send before it has been granted more. */
export const INITIAL_CREDIT = 64 * 1024;
export const MAX_DATA = 64 * 1024;

export const ChannelFrame = { data: 0, ack: 1, fin: 2, reset: 3, seek: 4, ping: 5, pong: 6 } as const;

/** Why a channel was reset. */
export const ResetCode = {
  closed: 0,
  serviceUnreachable: 1,
  unknownPort: 2,
  tooManyChannels: 3,
  protocolError: 4,
  /** The answer to a lane for a channel that has ended properly here. */
  finished: 5,
} as const;

/** The peer broke the channel's wire format or rules. The message says how, for the log. */
export class ChannelError extends Error {
  override readonly name = 'ChannelError';
}

/** What a lane is of a channel: its first, or one more. */
export type LaneKind = 'new' | 'resumed';

export interface ChannelHeader {
  readonly kind: LaneKind;
  /** Which of the offered ports, 0 for the first. */
  readonly port: number;
  /** Unique within the link. */
  readonly channel: bigint;
}

export function encodeChannelHeader({ kind, port, channel }: ChannelHeader): Buffer {
  const header = Buffer.alloc(CHANNEL_HEADER_SIZE);
  header[0] = CHANNEL_VERSION;
  header[1] = kind === 'new' ? 0 : 1;
  header.writeUInt16BE(port, 2);
  header.writeBigUInt64BE(channel, 4);
  header.writeUInt32BE(INITIAL_CREDIT, 12);
  return header;
}

/** Throws ChannelError on a version, kind or credit that this version does not speak. */
export function decodeChannelHeader(bytes: Buffer): ChannelHeader {
  if (bytes[0] !== CHANNEL_VERSION) throw new ChannelError(`version ${bytes[0]}`);
  const kind = KINDS[bytes[1] as number];
  if (kind === undefined) throw new ChannelError(`kind ${bytes[1]}`);
  const credit = bytes.readUInt32BE(12);
  if (credit !== INITIAL_CREDIT) throw new ChannelError(`initial credit of ${credit} bytes`);
  return { kind, port: bytes.readUInt16BE(2), channel: bytes.readBigUInt64BE(4) };
}

const KINDS: readonly LaneKind[] = ['new', 'resumed'];

export function encodeDataHeader(length: number): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER_SIZE);
  header.writeUInt32BE(length, 0);
  return header;
}

/** @param received offset up to which all is here, and one more for FIN @param limit offset up to which the peer may send */
export function encodeAck(received: number, limit: number): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_SIZE + 16);
  frame.writeUInt32BE((ChannelFrame.ack << 24) | 16, 0);
  writeOffset(frame, received, FRAME_HEADER_SIZE);
  writeOffset(frame, limit, FRAME_HEADER_SIZE + 8);
  return frame;
}

/** `offset` counts from the channel's start. */
export function encodeOffset(
  type: typeof ChannelFrame.fin | typeof ChannelFrame.seek,
  offset: number,
): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_SIZE + 8);
  frame.writeUInt32BE((type << 24) | 8, 0);
  writeOffset(frame, offset, FRAME_HEADER_SIZE);
  return frame;
}

export function encodeReset(code: number): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_SIZE + 2);
  frame.writeUInt32BE((ChannelFrame.reset << 24) | 2, 0);
  frame.writeUInt16BE(code, FRAME_HEADER_SIZE);
  return frame;
}

/** @param question which one it is, or is the answer to: 32 bits */
export function encodePing(
  type: typeof ChannelFrame.ping | typeof ChannelFrame.pong,
  question: number,
): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_SIZE + 4);
  frame.writeUInt32BE((type << 24) | 4, 0);
  frame.writeUInt32BE(question, FRAME_HEADER_SIZE);
  return frame;
}

function writeOffset(frame: Buffer, offset: number, at: number): void {
  frame.writeUInt32BE(Math.floor(offset / 2 ** 32), at);
  frame.writeUInt32BE(offset % 2 ** 32, at + 4);
}

/** Where the decoder puts what it finds. Offsets are exact: one beyond 2^53 is an error. */
export interface ChannelSink {
  /** The next application bytes, in pieces as they arrive. */
  onData(chunk: Buffer): void;
  onAck(received: number, limit: number): void;
  onFin(offset: number): void;
  onReset(code: number): void;
  onSeek(offset: number): void;
  onPing(question: number): void;
  onPong(question: number): void;
}

/** Cuts a lane's bytes into frames. Keeps at most one partial header or control frame; data passes without a copy. */
export class ChannelDecoder {
  readonly #sink: ChannelSink;
  /** Collects a frame's header or a control frame's payload. */
  readonly #scratch = Buffer.alloc(16);
  #filled = 0;
  #wanted = FRAME_HEADER_SIZE;
  #state: 'header' | 'data' | 'control' = 'header';
  #type = 0;
  #dataLeft = 0;

  constructor(sink: ChannelSink) {
    this.#sink = sink;
  }

  /** Throws ChannelError; the decoder is of no use afterwards. */
  decode(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === 'data') {
        const end = Math.min(chunk.length, at + this.#dataLeft);
        this.#dataLeft -= end - at;
        if (this.#dataLeft === 0) this.#expect('header', FRAME_HEADER_SIZE);
        this.#sink.onData(at === 0 && end === chunk.length ? chunk : chunk.subarray(at, end));
        at = end;
      } else {
        const copied = chunk.copy(this.#scratch, this.#filled, at, at + this.#wanted - this.#filled);
        this.#filled += copied;
        at += copied;
        if (this.#filled < this.#wanted) return;
        if (this.#state === 'header') this.#onHeader();
        else this.#onControl();
      }
    }
  }

  #onHeader(): void {
    this.#type = this.#scratch[0] as number;
    const length = this.#scratch.readUIntBE(1, 3);
    if (this.#type === ChannelFrame.data) {
      if (length === 0 || length > MAX_DATA) throw new ChannelError(`data frame of ${length} bytes`);
      this.#dataLeft = length;
      this.#state = 'data';
      return;
    }
    const expected = CONTROL_LENGTH[this.#type];
    if (expected === undefined) throw new ChannelError(`frame type ${this.#type}`);
    if (length !== expected) throw new ChannelError(`frame of type ${this.#type} with ${length} bytes`);
    this.#expect('control', length);
  }

  #onControl(): void {
    this.#expect('header', FRAME_HEADER_SIZE);
    switch (this.#type) {
      case ChannelFrame.ack:
        this.#sink.onAck(this.#offset(0), this.#offset(8));
        break;
      case ChannelFrame.fin:
        this.#sink.onFin(this.#offset(0));
        break;
      case ChannelFrame.seek:
        this.#sink.onSeek(this.#offset(0));
        break;
      case ChannelFrame.ping:
        this.#sink.onPing(this.#scratch.readUInt32BE(0));
        break;
      case ChannelFrame.pong:
        this.#sink.onPong(this.#scratch.readUInt32BE(0));
        break;
      default:
        this.#sink.onReset(this.#scratch.readUInt16BE(0));
    }
  }

  #offset(at: number): number {
    const offset = this.#scratch.readUInt32BE(at) * 2 ** 32 + this.#scratch.readUInt32BE(at + 4);
    if (!Number.isSafeInteger(offset)) throw new ChannelError(`offset ${this.#scratch.readBigUInt64BE(at)}`);
    return offset;
  }

  #expect(state: 'header' | 'control', wanted: number): void {
    this.#state = state;
    this.#wanted = wanted;
    this.#filled = 0;
  }
}

const CONTROL_LENGTH: Readonly<Record<number, number>> = {
  [ChannelFrame.ack]: 16,
  [ChannelFrame.fin]: 8,
  [ChannelFrame.reset]: 2,
  [ChannelFrame.seek]: 8,
  [ChannelFrame.ping]: 4,
  [ChannelFrame.pong]: 4,
};
