import type { Endpoint } from '../../net/endpoint.ts';
import { ipFromBytes, ipToBytes } from '../../net/ip.ts';

/**
 * The Port Control Protocol's MAP (RFC 6887 sections 7 and 11), for UDP over IPv4. A request has 60 bytes:
 *
 *      0  version 2         24  mapping nonce, 12 bytes
 *      1  opcode 1          36  protocol, 3 reserved
 *      2  reserved          40  internal port
 *      4  lifetime, s       42  suggested external port
 *      8  client address    44  suggested external address
 *
 * and so has an answer, but for: 1 the opcode with its top bit set, 3 result code, 8 epoch, 12 reserved, 42 and 44 what was
 * assigned. IPv4 addresses are written as IPv4-mapped ones (section 5).
 */
export const PCP_VERSION = 2;
export const NONCE_SIZE = 12;

const MAP = 1;
const RESPONSE = 0x80;
const UDP = 17;
const HEADER_SIZE = 24;
const MAP_SIZE = 60;
const MAX_SIZE = 1100;
export const PCP_SUCCESS = 0;

/** No suggestion, and for deleting (erratum 3621). */
const ANY: Endpoint = { address: '0.0.0.0', port: 0 };

export interface PcpMapRequest {
  /** 12 bytes, the same for a mapping's whole life: whoever knows them can change it (section 11.2). */
  readonly nonce: Buffer;
  /** The local address that the request is sent from. */
  readonly client: string;
  readonly internalPort: number;
  /** What the mapping should look like; without it the router chooses. */
  readonly suggested?: Endpoint;
  /** Seconds; 0 deletes the mapping. */
  readonly lifetime: number;
}

export interface PcpMapResponse {
  readonly result: number;
  /** Seconds; of an error: how long it lasts. */
  readonly lifetime: number;
  /** Undefined in an error that does not repeat the request. */
  readonly mapping: { nonce: Buffer; internalPort: number; external: Endpoint } | undefined;
}

export function encodePcpMap({
  nonce,
  client,
  internalPort,
  suggested = ANY,
  lifetime,
}: PcpMapRequest): Buffer {
  const bytes = Buffer.alloc(MAP_SIZE);
  bytes[0] = PCP_VERSION;
  bytes[1] = MAP;
  bytes.writeUInt32BE(lifetime, 4);
  mapped(client).copy(bytes, 8);
  nonce.copy(bytes, 24, 0, NONCE_SIZE);
  bytes[36] = UDP;
  bytes.writeUInt16BE(internalPort, 40);
  bytes.writeUInt16BE(suggested.port, 42);
  mapped(suggested.address).copy(bytes, 44);
  return bytes;
}

/** An answer to a MAP request for UDP, or undefined when it is not one. Options are ignored. Never throws. */
export function decodePcpMap(bytes: Buffer): PcpMapResponse | undefined {
  // Section 8.3: other sizes are dropped.
  if (bytes.length < HEADER_SIZE || bytes.length > MAX_SIZE || bytes.length % 4 !== 0) return undefined;
  if (bytes[0] !== PCP_VERSION || bytes[1] !== (RESPONSE | MAP)) return undefined;
  const result = bytes.readUInt8(3);
  const whole = bytes.length >= MAP_SIZE;
  if (whole ? bytes[36] !== UDP : result === PCP_SUCCESS) return undefined;
  const mapping = whole
    ? {
        nonce: Buffer.from(bytes.subarray(24, 24 + NONCE_SIZE)),
        internalPort: bytes.readUInt16BE(40),
        external: { address: ipFromBytes(bytes.subarray(44, 60)), port: bytes.readUInt16BE(42) },
      }
    : undefined;
  return { result, lifetime: bytes.readUInt32BE(4), mapping };
}

function mapped(address: string): Buffer {
  return ipToBytes(`::ffff:${address}`);
}
