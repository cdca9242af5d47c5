import type { Endpoint } from '../net/endpoint.ts';
import { ipFromBytes, ipToBytes } from '../net/ip.ts';
import { ATTRIBUTE, MAGIC_COOKIE, type StunMessage } from './stun.ts';

/** RFC 8489 section 14.1: 4 bytes of address, or 16. */
const FAMILY_SIZES: Readonly<Record<number, number>> = { 1: 4, 2: 16 };

/** Bits of CHANGE-REQUEST (RFC 5780 section 7.2). */
const CHANGE_ADDRESS = 0x04;
const CHANGE_PORT = 0x02;

/** What MAPPED-ADDRESS, RESPONSE-ORIGIN and OTHER-ADDRESS hold. */
export function encodeAddress({ address, port }: Endpoint): Buffer {
  const ip = ipToBytes(address);
  const value = Buffer.concat([Buffer.alloc(4), ip]);
  value.writeUInt8(ip.length === 4 ? 1 : 2, 1);
  value.writeUInt16BE(port, 2);
  return value;
}

/** What XOR-MAPPED-ADDRESS holds (section 14.2): no router that rewrites addresses in packets recognises it. */
export function encodeXorAddress(endpoint: Endpoint, transactionId: Buffer): Buffer {
  return mask(encodeAddress(endpoint), transactionId);
}

export function decodeAddress(value: Buffer): Endpoint | undefined {
  const size = value.length > 4 ? FAMILY_SIZES[value.readUInt8(1)] : undefined;
  if (size === undefined || value.length !== 4 + size) return undefined;
  return { address: ipFromBytes(value.subarray(4)), port: value.readUInt16BE(2) };
}

export function decodeXorAddress(value: Buffer, transactionId: Buffer): Endpoint | undefined {
  return value.length === 8 || value.length === 20 ? decodeAddress(mask(value, transactionId)) : undefined;
}

/** The reflexive address in a response: XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS where an old server sends only that. */
export function mappedAddress({ attributes, transactionId }: StunMessage): Endpoint | undefined {
  const masked = attributes.get(ATTRIBUTE.xorMappedAddress);
  if (masked) return decodeXorAddress(masked, transactionId);
  const plain = attributes.get(ATTRIBUTE.mappedAddress);
  return plain && decodeAddress(plain);
}

/** Where else the server can be asked (RFC 5780 section 7.4). */
export function otherAddress({ attributes }: StunMessage): Endpoint | undefined {
  const value = attributes.get(ATTRIBUTE.otherAddress);
  return value && decodeAddress(value);
}

/** From where the client wants its answer; undefined when it does not care, or what it says makes no sense. */
export function changeRequest({ attributes }: StunMessage):
  | {
      readonly address: boolean;
      readonly port: boolean;
    }
  | undefined {
  const value = attributes.get(ATTRIBUTE.changeRequest);
  if (value?.length !== 4) return undefined;
  const bits = value.readUInt32BE();
  return { address: (bits & CHANGE_ADDRESS) !== 0, port: (bits & CHANGE_PORT) !== 0 };
}

export function encodeChangeRequest(change: { readonly address: boolean; readonly port: boolean }): Buffer {
  const value = Buffer.alloc(4);
  value.writeUInt32BE((change.address ? CHANGE_ADDRESS : 0) | (change.port ? CHANGE_PORT : 0));
  return value;
}

/** The port is masked with the cookie's first half, the address with the cookie and then the transaction id. */
function mask(value: Buffer, transactionId: Buffer): Buffer {
  const cookie = Buffer.alloc(4);
  cookie.writeUInt32BE(MAGIC_COOKIE);
  const key = Buffer.concat([Buffer.alloc(2), cookie.subarray(0, 2), cookie, transactionId]);
  return Buffer.from(value.map((byte, i) => byte ^ (key[i] ?? 0)));
}
