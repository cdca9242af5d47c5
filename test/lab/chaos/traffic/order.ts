import { STYLES, type Style } from './said.ts';

/** What the client asks of the service at the begin of a connection. */
export interface Order {
  readonly id: number;
  readonly seed: number;
  readonly style: Style;
  /** Bytes a second from the client; of `chat`, the mean. */
  readonly up: number;
  /** Bytes a second from the service. */
  readonly down: number;
  /** Of a `message`, and of the answer to it. */
  readonly length: number;
}

const MAGIC = 0x63_68_61_6f;

export const ORDER_SIZE = 28;
/** The service begins with the order's id: so streams that were mistaken for each other show. */
export const GREETING_SIZE = 4;

export function encodeOrder({ id, seed, style, up, down, length }: Order): Buffer {
  const bytes = Buffer.alloc(ORDER_SIZE);
  [MAGIC, id, seed, STYLES.indexOf(style), up, down, length].forEach((value, index) => {
    bytes.writeUInt32BE(value, 4 * index);
  });
  return bytes;
}

/** Undefined when that is none. */
export function decodeOrder(bytes: Buffer): Order | undefined {
  const [magic, id = 0, seed = 0, style = -1, up = 0, down = 0, length = 0] = Array.from(
    { length: 7 },
    (_, i) => bytes.readUInt32BE(4 * i),
  );
  const named = STYLES[style];
  return magic === MAGIC && named !== undefined ? { id, seed, style: named, up, down, length } : undefined;
}

export function greeting(id: number): Buffer {
  const bytes = Buffer.alloc(GREETING_SIZE);
  bytes.writeUInt32BE(id);
  return bytes;
}
