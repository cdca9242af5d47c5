/**
 * What a carrier's datagram holds (docs/protocol.md, section 7): a UDP payload behind 7 bytes, type u8 (0), port u16, flow u32;
 * or a fragment of one behind 11, type u8 (1), port u16, flow u32, packet u16, index u8, count u8. Big-endian.
 */
export const WHOLE_HEADER_SIZE = 7;
export const FRAGMENT_HEADER_SIZE = 11;

/** The longest payload that UDP has over IPv4. */
export const MAX_PAYLOAD = 65_507;

/** `index` and `count` have a byte each. */
export const MAX_FRAGMENTS = 255;

const WHOLE = 0;
const FRAGMENT = 1;

/** The peer's datagram is none. The message says why, for the log. */
export class DatagramError extends Error {
  override readonly name = 'DatagramError';
}

/** Which piece of which payload a fragment is. */
export interface Fragment {
  /** The same in all fragments of one payload, and another one in those of the next 65,535 of the flow. */
  readonly packet: number;
  /** 0 for the first. */
  readonly index: number;
  /** How many there are, at least 2. */
  readonly count: number;
}

export interface Datagram {
  /** Which of the offered ports, 0 for the first. */
  readonly port: number;
  /** Which application's socket at that port: the subscriber's choice. */
  readonly flow: number;
  /** Undefined where the payload is whole. */
  readonly fragment: Fragment | undefined;
  readonly payload: Buffer;
}

/** One number for what two datagrams of one flow have in common. Small ones stay small, which V8 likes better. */
export function flowKey(port: number, flow: number): number {
  return flow * 0x1_0000 + port;
}

export function encodeWhole(port: number, flow: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(WHOLE_HEADER_SIZE + payload.length);
  writeStart(bytes, WHOLE, port, flow);
  payload.copy(bytes, WHOLE_HEADER_SIZE);
  return bytes;
}

export function encodeFragment(port: number, flow: number, fragment: Fragment, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(FRAGMENT_HEADER_SIZE + payload.length);
  writeStart(bytes, FRAGMENT, port, flow);
  bytes[7] = fragment.packet >>> 8;
  bytes[8] = fragment.packet;
  bytes[9] = fragment.index;
  bytes[10] = fragment.count;
  payload.copy(bytes, FRAGMENT_HEADER_SIZE);
  return bytes;
}

/** The payload is a part of `bytes`. Throws DatagramError on anything that no peer sends. */
export function decodeDatagram(bytes: Buffer): Datagram {
  if (bytes.length < WHOLE_HEADER_SIZE) throw new DatagramError(`${bytes.length} bytes`);
  const type = bytes[0] as number;
  const port = bytes.readUInt16BE(1);
  const flow = bytes.readUInt32BE(3);
  if (type === WHOLE) {
    if (bytes.length > WHOLE_HEADER_SIZE + MAX_PAYLOAD)
      throw new DatagramError(`whole, ${bytes.length} bytes`);
    return { port, flow, fragment: undefined, payload: bytes.subarray(WHOLE_HEADER_SIZE) };
  }
  if (type !== FRAGMENT) throw new DatagramError(`type ${type}`);
  if (bytes.length <= FRAGMENT_HEADER_SIZE) throw new DatagramError(`fragment, ${bytes.length} bytes`);
  const index = bytes[9] as number;
  const count = bytes[10] as number;
  if (count < 2 || index >= count) throw new DatagramError(`fragment ${index} of ${count}`);
  const fragment = { packet: bytes.readUInt16BE(7), index, count };
  return { port, flow, fragment, payload: bytes.subarray(FRAGMENT_HEADER_SIZE) };
}

/** By hand: Buffer's own writers check what is right already, which is seen at a hundred thousand datagrams a second. */
function writeStart(bytes: Buffer, type: number, port: number, flow: number): void {
  bytes[0] = type;
  bytes[1] = port >>> 8;
  bytes[2] = port;
  bytes[3] = flow >>> 24;
  bytes[4] = flow >>> 16;
  bytes[5] = flow >>> 8;
  bytes[6] = flow;
}
