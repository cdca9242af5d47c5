import { crc32 } from './crc32.ts';

// RFC 8489 section 5. Integers are big-endian.
//
//  0                   1                   2                   3
//  0 0 [class and method, interleaved] [length of the attributes, a multiple of 4]
//  [magic cookie 0x2112A442] [transaction id, 12 bytes] [attributes: type 2, length 2, value, padding to 4]

export const MAGIC_COOKIE = 0x2112a442;
export const HEADER_SIZE = 20;
export const TRANSACTION_ID_SIZE = 12;

/** The one method of STUN itself. */
export const BINDING = 0x001;

/** A STUN message fits a packet, and nobody has that much to say. */
const MAX_SIZE = 1500;
const MAX_ATTRIBUTES = 32;

const FINGERPRINT_SIZE = 8;
/** RFC 8489 section 14.7. */
const FINGERPRINT_XOR = 0x5354554e;

const CLASSES = ['request', 'indication', 'success', 'error'] as const;
export type StunClass = (typeof CLASSES)[number];

/** Attribute types of RFC 8489 and RFC 5780. Those below 0x8000 have to be understood. */
export const ATTRIBUTE = {
  mappedAddress: 0x0001,
  changeRequest: 0x0003,
  username: 0x0006,
  messageIntegrity: 0x0008,
  errorCode: 0x0009,
  unknownAttributes: 0x000a,
  realm: 0x0014,
  nonce: 0x0015,
  messageIntegritySha256: 0x001c,
  xorMappedAddress: 0x0020,
  padding: 0x0026,
  responsePort: 0x0027,
  software: 0x8022,
  fingerprint: 0x8028,
  responseOrigin: 0x802b,
  otherAddress: 0x802c,
  /** Our own, unassigned at IANA; who does not know them passes over them. In a request, and in its answer. */
  voucher: 0xfad0,
  proof: 0xfad1,
} as const;

export interface StunMessage {
  readonly class: StunClass;
  readonly method: number;
  /** 12 bytes. */
  readonly transactionId: Buffer;
  /** Values by type; the first of a type counts, and those after MESSAGE-INTEGRITY do not (sections 14 and 14.5). */
  readonly attributes: ReadonlyMap<number, Buffer>;
}

export interface StunFields {
  readonly class: StunClass;
  /** `BINDING` by default. */
  readonly method?: number;
  readonly transactionId: Buffer;
  readonly attributes?: Iterable<readonly [type: number, value: Buffer]>;
}

/** Whether a datagram looks like STUN: two zero bits, a length, the magic cookie. */
export function isStun(bytes: Buffer): boolean {
  if (bytes.length < HEADER_SIZE || bytes.length > MAX_SIZE) return false;
  return bytes.readUInt8() < 0x40 && bytes.readUInt32BE(4) === MAGIC_COOKIE;
}

/** A whole datagram as a STUN message; undefined when it is none, or its FINGERPRINT is wrong. Never throws. */
export function decodeStun(bytes: Buffer): StunMessage | undefined {
  if (!isStun(bytes)) return undefined;
  const length = bytes.readUInt16BE(2);
  if (length % 4 !== 0 || HEADER_SIZE + length !== bytes.length) return undefined;
  const attributes = readAttributes(bytes);
  if (attributes === undefined) return undefined;
  const type = bytes.readUInt16BE();
  return {
    class: CLASSES[((type >> 7) & 2) | ((type >> 4) & 1)] ?? 'request',
    method: (type & 0x000f) | ((type & 0x00e0) >> 1) | ((type & 0x3e00) >> 2),
    transactionId: bytes.subarray(8, HEADER_SIZE),
    attributes,
  };
}

/** A message that ends with FINGERPRINT. */
export function encodeStun(fields: StunFields): Buffer {
  const body = [...(fields.attributes ?? [])].map(([type, value]) => encodeAttribute(type, value));
  const message = Buffer.concat([Buffer.alloc(HEADER_SIZE), ...body, Buffer.alloc(FINGERPRINT_SIZE)]);
  message.writeUInt16BE(typeOf(fields.class, fields.method ?? BINDING), 0);
  message.writeUInt16BE(message.length - HEADER_SIZE, 2);
  message.writeUInt32BE(MAGIC_COOKIE, 4);
  fields.transactionId.copy(message, 8);
  const at = message.length - FINGERPRINT_SIZE;
  message.writeUInt16BE(ATTRIBUTE.fingerprint, at);
  message.writeUInt16BE(4, at + 2);
  message.writeUInt32BE(fingerprintOf(message.subarray(0, at)), at + 4);
  return message;
}

/** Attributes that have to be understood (section 14) and are not among those known. */
export function unknownRequired(message: StunMessage, known: readonly number[]): number[] {
  return [...message.attributes.keys()].filter((type) => type < 0x8000 && !known.includes(type));
}

function readAttributes(bytes: Buffer): Map<number, Buffer> | undefined {
  const attributes = new Map<number, Buffer>();
  let seal: number | undefined;
  let count = 0;
  for (let at = HEADER_SIZE; at < bytes.length; ) {
    const type = bytes.readUInt16BE(at);
    const end = at + 4 + bytes.readUInt16BE(at + 2);
    const next = (end + 3) & ~3;
    if (next > bytes.length || ++count > MAX_ATTRIBUTES) return undefined;
    const value = bytes.subarray(at + 4, end);
    if (type === ATTRIBUTE.fingerprint) return isFingerprint(bytes, at, value) ? attributes : undefined;
    if (mayFollow(seal, type)) {
      if (!attributes.has(type)) attributes.set(type, value);
      if (isSeal(type)) seal = type;
    }
    at = next;
  }
  return attributes;
}

/** Of what follows an HMAC that does not cover it, only the stronger HMAC counts (sections 14.5 and 14.6). */
function mayFollow(seal: number | undefined, type: number): boolean {
  if (seal === undefined) return true;
  return seal === ATTRIBUTE.messageIntegrity && type === ATTRIBUTE.messageIntegritySha256;
}

function isSeal(type: number): boolean {
  return type === ATTRIBUTE.messageIntegrity || type === ATTRIBUTE.messageIntegritySha256;
}

/** FINGERPRINT comes last, and covers all before it. */
function isFingerprint(bytes: Buffer, at: number, value: Buffer): boolean {
  if (value.length !== 4 || at + FINGERPRINT_SIZE !== bytes.length) return false;
  return value.readUInt32BE() === fingerprintOf(bytes.subarray(0, at));
}

function fingerprintOf(before: Buffer): number {
  return (crc32(before) ^ FINGERPRINT_XOR) >>> 0;
}

export function encodeAttribute(type: number, value: Buffer): Buffer {
  const attribute = Buffer.alloc(4 + ((value.length + 3) & ~3));
  attribute.writeUInt16BE(type, 0);
  attribute.writeUInt16BE(value.length, 2);
  value.copy(attribute, 4);
  return attribute;
}

function typeOf(kind: StunClass, method: number): number {
  const bits = CLASSES.indexOf(kind);
  const spread = (method & 0x000f) | ((method & 0x0070) << 1) | ((method & 0x0f80) << 2);
  return spread | ((bits & 2) << 7) | ((bits & 1) << 4);
}
