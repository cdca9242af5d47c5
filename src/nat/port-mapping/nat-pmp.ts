import { ipFromBytes } from '../../net/ip.ts';

/** NAT-PMP (RFC 6886), for UDP. Version 0; an answer's opcode has its top bit set, and its result code is at 2, the epoch at 4. */
const VERSION = 0;
const OPCODE = { externalAddress: 0, mapUdp: 1 } as const;
const RESPONSE = 0x80;

const HEADER_SIZE = 8;
const ADDRESS_SIZE = 12;
const MAP_SIZE = 16;

export const NAT_PMP_RESULT = { success: 0, unsupportedVersion: 1 } as const;

/** Section 3.2: the request for the external address is two bytes. */
export function encodeAddressRequest(): Buffer {
  return Buffer.from([VERSION, OPCODE.externalAddress]);
}

export interface NatPmpMapRequest {
  readonly internalPort: number;
  /** 0 where the router may choose, and to delete (section 3.4). */
  readonly suggestedPort: number;
  /** Seconds; 0 deletes the mapping. */
  readonly lifetime: number;
}

/** Section 3.3: 2 reserved, 4 internal port, 6 suggested external port, 8 lifetime. */
export function encodeMapRequest({ internalPort, suggestedPort, lifetime }: NatPmpMapRequest): Buffer {
  const bytes = Buffer.alloc(12);
  bytes[0] = VERSION;
  bytes[1] = OPCODE.mapUdp;
  bytes.writeUInt16BE(internalPort, 4);
  bytes.writeUInt16BE(suggestedPort, 6);
  bytes.writeUInt32BE(lifetime, 8);
  return bytes;
}

export type NatPmpResponse =
  | { readonly type: 'address'; readonly address: string }
  | {
      readonly type: 'mapped';
      readonly internalPort: number;
      readonly externalPort: number;
      /** Seconds. */
      readonly lifetime: number;
    }
  | { readonly type: 'error'; readonly result: number };

/** An answer to one of the two requests, or undefined when it is not one. Never throws. */
export function decodeNatPmp(bytes: Buffer): NatPmpResponse | undefined {
  if (bytes.length < HEADER_SIZE || bytes[0] !== VERSION) return undefined;
  const opcode = bytes.readUInt8(1);
  const result = bytes.readUInt16BE(2);
  // Section 3.5. A router that does not know PCP answers its packets so too, and some leave the opcode's top bit out.
  if (result === NAT_PMP_RESULT.unsupportedVersion) return { type: 'error', result };
  if (opcode === (RESPONSE | OPCODE.externalAddress)) {
    if (result !== NAT_PMP_RESULT.success) return { type: 'error', result };
    if (bytes.length !== ADDRESS_SIZE) return undefined;
    return { type: 'address', address: ipFromBytes(bytes.subarray(8, 12)) };
  }
  if (opcode === (RESPONSE | OPCODE.mapUdp)) {
    if (result !== NAT_PMP_RESULT.success) return { type: 'error', result };
    if (bytes.length !== MAP_SIZE) return undefined;
    return {
      type: 'mapped',

      internalPort: bytes.readUInt16BE(8),
      externalPort: bytes.readUInt16BE(10),
      lifetime: bytes.readUInt32BE(12),
    };
  }
  return undefined;
}
