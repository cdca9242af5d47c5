/**
 * The channel's wire format (docs/protocol.md, section 7). A stream starts with a header of 16 bytes from its opener; then
 * frames go both ways, each with 4 bytes in front: type u8, length u24, big-endian.
 */
export const CHANNEL_VERSION = 1;
export const CHANNEL_HEADER_SIZE = 16;
export const FRAME_HEADER_SIZE = 4;

/** What either side may send before it has been granted more. */
export const INITIAL_CREDIT = 64 * 1024;
export const MAX_DATA = 64 * 1024;

export const ChannelFrame = { data: 0, credit: 1, fin: 2, reset: 3 } as const;

/** Why a channel was reset. */
export const ResetCode = {
  closed: 0,
  serviceUnreachable: 1,
  unknownPort: 2,
  tooManyChannels: 3,
  protocolError: 4,
} as const;

/** The peer broke the channel's wire format or rules. The message says how, for the log. */
export class ChannelError extends Error {
  override readonly name = 'ChannelError';
}

export interface ChannelHeader {
  /** Which of the offered ports, 0 for the first. */
  readonly port: number;
  /** Unique within the link. */
  readonly channel: bigint;
}

export function encodeChannelHeader({ port, channel }: ChannelHeader): Buffer {
  const header = Buffer.alloc(CHANNEL_HEADER_SIZE);
  header[0] = CHANNEL_VERSION;
  header.writeUInt16BE(port, 2);
  header.writeBigUInt64BE(channel, 4);
  header.writeUInt32BE(INITIAL_CREDIT, 12);
  return header;
}

/** Throws ChannelError on a version, kind or credit that this version does not speak. */
export function decodeChannelHeader(bytes: Buffer): ChannelHeader {
  if (bytes[0] !== CHANNEL_VERSION) throw new ChannelError(`version ${bytes[0]}`);
  if (bytes[1] !== 0) throw new ChannelError(`kind ${bytes[1]}`);
  const credit = bytes.readUInt32BE(12);
  if (credit !== INITIAL_CREDIT) throw new ChannelError(`initial credit of ${credit} bytes`);
  return { port: bytes.readUInt16BE(2), channel: bytes.readBigUInt64BE(4) };
}

export function encodeDataHeader(length: number): Buffer {
  const header = Buffer.allocUnsafe(FRAME_HEADER_SIZE);
  header.writeUInt32BE(length, 0);
  return header;
}

/** `offset` counts from the channel's start. */
export function encodeOffset(
  type: typeof ChannelFrame.credit | typeof ChannelFrame.fin,
  offset: number,
): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_SIZE + 8);
  frame.writeUInt32BE((type << 24) | 8, 0);
  frame.writeBigUInt64BE(BigInt(offset), FRAME_HEADER_SIZE);
  return frame;
}

export function encodeReset(code: number): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_SIZE + 2);
  frame.writeUInt32BE((ChannelFrame.reset << 24) | 2, 0);
  frame.writeUInt16BE(code, FRAME_HEADER_SIZE);
  return frame;
}

/** Where the decoder puts what it finds. Offsets are exact: one beyond 2^53 is an error. */
export interface ChannelSink {
  onHeader(header: ChannelHeader): void;
  /** The next application bytes, in pieces as they arrive. */
  onData(chunk: Buffer): void;
  onCredit(offset: number): void;
  onFin(offset: number): void;
  onReset(code: number): void;
}

/** Cuts a channel's bytes into frames. Keeps at most one partial header or control frame; data passes without a copy. */
export class ChannelDecoder {
  readonly #sink: ChannelSink;
  /** Collects a header or a control frame's payload. */
  readonly #scratch = Buffer.alloc(CHANNEL_HEADER_SIZE);
  #filled = 0;
  #wanted: number;
  #state: 'channel-header' | 'frame-header' | 'data' | 'control';
  #type = 0;
  #dataLeft = 0;

  /** @param expectHeader whether the peer is the opener, whose bytes start with a channel header */
  constructor(expectHeader: boolean, sink: ChannelSink) {
    this.#sink = sink;
    this.#state = expectHeader ? 'channel-header' : 'frame-header';
    this.#wanted = expectHeader ? CHANNEL_HEADER_SIZE : FRAME_HEADER_SIZE;
  }

  /** Throws ChannelError; the decoder is of no use afterwards. */
  decode(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === 'data') {
        const end = Math.min(chunk.length, at + this.#dataLeft);
        this.#dataLeft -= end - at;
        if (this.#dataLeft === 0) this.#expect('frame-header', FRAME_HEADER_SIZE);
        this.#sink.onData(chunk.subarray(at, end));
        at = end;
      } else {
        const copied = chunk.copy(this.#scratch, this.#filled, at, at + this.#wanted - this.#filled);
        this.#filled += copied;
        at += copied;
        if (this.#filled === this.#wanted) this.#complete();
      }
    }
  }

  #complete(): void {
    if (this.#state === 'channel-header') {
      const header = decodeChannelHeader(this.#scratch);
      this.#expect('frame-header', FRAME_HEADER_SIZE);
      this.#sink.onHeader(header);
    } else if (this.#state === 'frame-header') this.#onFrameHeader();
    else this.#onControl();
  }

  #onFrameHeader(): void {
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
    const type = this.#type;
    this.#expect('frame-header', FRAME_HEADER_SIZE);
    if (type === ChannelFrame.reset) this.#sink.onReset(this.#scratch.readUInt16BE(0));
    else if (type === ChannelFrame.credit) this.#sink.onCredit(this.#offset());
    else this.#sink.onFin(this.#offset());
  }

  #offset(): number {
    const offset = this.#scratch.readBigUInt64BE(0);
    if (offset > BigInt(Number.MAX_SAFE_INTEGER)) throw new ChannelError(`offset ${offset}`);
    return Number(offset);
  }

  #expect(state: 'frame-header' | 'control', wanted: number): void {
    this.#state = state;
    this.#wanted = wanted;
    this.#filled = 0;
  }
}

const CONTROL_LENGTH: Readonly<Record<number, number>> = {
  [ChannelFrame.credit]: 8,
  [ChannelFrame.fin]: 8,
  [ChannelFrame.reset]: 2,
};
