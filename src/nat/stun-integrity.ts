import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { ATTRIBUTE, HEADER_SIZE } from './stun.ts';

/** Sizes of the whole HMAC and of the shortest that counts (RFC 8489 sections 14.5 and 14.6). */
const ALGORITHMS = {
  [ATTRIBUTE.messageIntegrity]: { name: 'sha1', size: 20, least: 20 },
  [ATTRIBUTE.messageIntegritySha256]: { name: 'sha256', size: 32, least: 16 },
} as const;

export type IntegrityType = keyof typeof ALGORITHMS;

/** The key of a short-term credential (section 9.1.1). The password has been prepared (RFC 8265) already. */
export function shortTermKey(password: string): Buffer {
  return Buffer.from(password);
}

/** The key of a long-term credential (section 9.2.2, MD5). All three have been prepared (RFC 8265) already. */
export function longTermKey(username: string, realm: string, password: string): Buffer {
  return createHash('md5').update(`${username}:${realm}:${password}`).digest();
}

/**
 * The HMAC of a message whose MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256 is to stand at `at`, with `size` bytes. It covers what
 * is before, with a header that says that the message ends after this attribute.
 */
export function integrityOf(
  message: Buffer,
  at: number,
  type: IntegrityType,
  key: Buffer,
  size?: number,
): Buffer {
  const algorithm = ALGORITHMS[type];
  const length = size ?? algorithm.size;
  const covered = Buffer.from(message.subarray(0, at));
  covered.writeUInt16BE(at + 4 + length - HEADER_SIZE, 2);
  return createHmac(algorithm.name, key).update(covered).digest().subarray(0, length);
}

/** Whether a message that `decodeStun` accepts has an attribute of this type, and it is right. In constant time. */
export function hasIntegrity(message: Buffer, type: IntegrityType, key: Buffer): boolean {
  for (let at = HEADER_SIZE; at + 4 <= message.length; ) {
    const size = message.readUInt16BE(at + 2);
    if (message.readUInt16BE(at) === type) {
      const value = message.subarray(at + 4, at + 4 + size);
      const { least, size: most } = ALGORITHMS[type];
      if (size < least || size > most || size % 4 !== 0 || value.length !== size) return false;
      return timingSafeEqual(value, integrityOf(message, at, type, key, size));
    }
    at += 4 + ((size + 3) & ~3);
  }
  return false;
}
