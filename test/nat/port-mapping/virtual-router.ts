import { ipToBytes } from '../../../src/net/ip.ts';

/** RFC 6887 section 7.4 and RFC 6886 section 3.5. */
export const PCP_RESULT = { success: 0, notAuthorised: 2, networkFailure: 7, noResources: 8 } as const;
export const NAT_PMP_RESULT = {
  success: 0,
  unsupportedVersion: 1,
  notAuthorised: 2,
  networkFailure: 3,
} as const;

export interface PcpAnswer {
  result?: number;
  lifetime?: number;
  nonce: Buffer;
  internalPort: number;
  externalPort?: number;
  externalAddress?: string;
  protocol?: number;
}

/** A PCP answer to MAP, byte by byte as in RFC 6887 sections 7.2 and 11.1. */
export function pcpAnswer(answer: PcpAnswer): Buffer {
  const bytes = Buffer.alloc(60);
  bytes.set([2, 0x81, 0, answer.result ?? 0]);
  bytes.writeUInt32BE(answer.lifetime ?? 7200, 4);
  answer.nonce.copy(bytes, 24);
  bytes[36] = answer.protocol ?? 17;
  bytes.writeUInt16BE(answer.internalPort, 40);
  bytes.writeUInt16BE(answer.externalPort ?? 0, 42);
  ipToBytes(`::ffff:${answer.externalAddress ?? '0.0.0.0'}`).copy(bytes, 44);
  return bytes;
}

export function natPmpError(opcode: number, result: number): Buffer {
  return Buffer.from([0, 0x80 | opcode, 0, result, 0, 0, 0, 9]);
}

export function natPmpAddress(address: string): Buffer {
  return Buffer.from([0, 128, 0, 0, 0, 0, 0, 9, ...ipToBytes(address)]);
}

export function natPmpMapped(internalPort: number, externalPort: number, lifetime = 7200): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.set([0, 129, 0, 0, 0, 0, 0, 9]);
  bytes.writeUInt16BE(internalPort, 8);
  bytes.writeUInt16BE(externalPort, 10);
  bytes.writeUInt32BE(lifetime, 12);
  return bytes;
}

/** A home router in memory, one table for both protocols, as miniupnpd has. Its fields may be changed at any time. */
export class VirtualRouter {
  speaks: { pcp: boolean; natPmp: boolean } = { pcp: true, natPmp: true };
  external = '45.80.1.7';
  /** Granted, in seconds. */
  lifetime = 7200;
  /** Instead of the suggested port. */
  assigns: number | undefined;
  refuses: { pcp?: number; natPmp?: number } = {};
  /** Internal port to external port. */
  readonly table = new Map<number, number>();
  readonly seen: Buffer[] = [];

  /** It has lost its power for a moment. */
  restart(): void {
    this.table.clear();
  }

  answer(request: Buffer): Buffer[] {
    this.seen.push(request);
    if (request[0] === 2) return this.#answerPcp(request);
    if (request[0] === 0) return this.#answerNatPmp(request);
    return [];
  }

  #answerPcp(request: Buffer): Buffer[] {
    if (!this.speaks.pcp)
      return this.speaks.natPmp ? [natPmpError(1, NAT_PMP_RESULT.unsupportedVersion)] : [];
    const nonce = request.subarray(24, 36);
    const internalPort = request.readUInt16BE(40);
    if (this.refuses.pcp !== undefined) return [pcpAnswer({ nonce, internalPort, result: this.refuses.pcp })];
    const lifetime = request.readUInt32BE(4);
    if (lifetime === 0) {
      this.table.delete(internalPort);
      return [pcpAnswer({ nonce, internalPort, lifetime })];
    }
    const externalPort = this.#map(internalPort, request.readUInt16BE(42));
    return [
      pcpAnswer({
        nonce,
        internalPort,
        externalPort,
        externalAddress: this.external,
        lifetime: this.lifetime,
      }),
    ];
  }

  #answerNatPmp(request: Buffer): Buffer[] {
    if (!this.speaks.natPmp) return [];
    const opcode = request.readUInt8(1);
    if (this.refuses.natPmp !== undefined) return [natPmpError(opcode, this.refuses.natPmp)];
    if (opcode === 0) return [natPmpAddress(this.external)];
    const internalPort = request.readUInt16BE(4);
    if (request.readUInt32BE(8) === 0) {
      this.table.delete(internalPort);
      return [natPmpMapped(internalPort, 0, 0)];
    }
    return [natPmpMapped(internalPort, this.#map(internalPort, request.readUInt16BE(6)), this.lifetime)];
  }

  #map(internalPort: number, suggested: number): number {
    const port = this.table.get(internalPort) ?? this.assigns ?? suggested;
    this.table.set(internalPort, port);
    return port;
  }
}
