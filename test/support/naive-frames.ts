/** One yamux frame, whole. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  /** A data frame's payload; empty for the others. */
  readonly payload: Buffer;
  /** The length field. */
  readonly length: number;
}

/** A frame as bytes, written digit by digit. */
export function frameBytes(
  type: number,
  flags: number,
  stream: number,
  length: number,
  payload = '',
): Buffer {
  const digits = (value: number, width: number) => value.toString(16).padStart(width, '0');
  const header = `00${digits(type, 2)}${digits(flags, 4)}${digits(stream, 8)}${digits(length, 8)}`;
  return Buffer.concat([Buffer.from(header, 'hex'), Buffer.from(payload, 'latin1')]);
}

/**
 * The slow, obvious decoder: takes all bytes at once. Returns the whole frames at the front, and what stopped it: `cut`
 * when the rest is the beginning of a frame (or nothing), `garbage` when it cannot be one.
 */
export function decodeAll(bytes: Buffer): { frames: Frame[]; stop: 'cut' | 'garbage'; rest: Buffer } {
  const frames: Frame[] = [];
  let hex = bytes.toString('hex');
  const field = (from: number, to: number) => Number.parseInt(hex.slice(2 * from, 2 * to), 16);
  while (hex.length >= 24) {
    const [version, type, flags] = [field(0, 1), field(1, 2), field(2, 4)];
    const [stream, length] = [field(4, 8), field(8, 12)];
    const known = version === 0 && type <= 3 && flags <= 15;
    if (!known || (type === 0 && length > 1024 * 1024))
      return { frames, stop: 'garbage', rest: Buffer.from(hex, 'hex') };
    const size = type === 0 ? length : 0;
    if (hex.length < 24 + 2 * size) break;
    frames.push({ type, flags, stream, length, payload: Buffer.from(hex.slice(24, 24 + 2 * size), 'hex') });
    hex = hex.slice(24 + 2 * size);
  }
  return { frames, stop: 'cut', rest: Buffer.from(hex, 'hex') };
}
