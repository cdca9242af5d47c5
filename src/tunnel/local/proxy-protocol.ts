import { isIP } from 'node:net';
import { ipToBytes } from '../../net/ip.ts';

// The PROXY protocol, version 2, as https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt has it.

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const VERSION = 0x20;
const Command = { local: 0, proxy: 1 } as const;
const Family = { unspecified: 0x00, inet: 0x10, inet6: 0x20 } as const;
const Protocol = { unspecified: 0, tcp: 1, udp: 2 } as const;
/** Types that are free for private use. */
const IDENTITY_TLV = 0xe0;
const CLAIM_TLV = 0xe1;
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

/** An address, and a port that is 0 where it is not known. */
export interface ProxyEndpoint {
  readonly address: string;
  readonly port: number;
}

export interface ProxySource extends ProxyEndpoint {
  /** Whether it is only what the server says, which the service is told. */
  readonly claimed: boolean;
}

export interface ProxyHeader {
  readonly protocol: 'tcp' | 'udp';
  /** Where the subscriber is. Undefined: nobody knows. */
  readonly source: ProxySource | undefined;
  /** The local service. */
  readonly destination: ProxyEndpoint | undefined;
  /** The fingerprint of the subscriber's identity, as underpass prints it. */
  readonly identity: string;
}

/**
 * What goes before the first byte to the service, or before the payload of a flow's first datagram. Where an address is not known, or
 * is none, it is LOCAL and UNSPEC: the service then takes the connection as it is.
 */
export function proxyHeader({ protocol, source, destination, identity }: ProxyHeader): Buffer {
  const addresses = source && destination && encodeAddresses(source, destination);
  const command = addresses === undefined ? Command.local : Command.proxy;
  const family = addresses?.family ?? Family.unspecified;
  const transport = addresses === undefined ? Protocol.unspecified : Protocol[protocol];
  const block = addresses?.block ?? Buffer.alloc(0);
  const isClaim = addresses !== undefined && source?.claimed === true;
  const tlv = Buffer.concat([
    encodeTlv(IDENTITY_TLV, Buffer.from(identity, 'ascii')),
    ...(isClaim ? [encodeTlv(CLAIM_TLV, Buffer.from([1]))] : []),
  ]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(block.length + tlv.length);
  const head = Buffer.from([VERSION | command, family | transport]);
  return Buffer.concat([SIGNATURE, head, length, block, tlv]);
}

function encodeAddresses(source: ProxyEndpoint, destination: ProxyEndpoint) {
  const [from, to] = [bytesOf(source), bytesOf(destination)];
  if (from === undefined || to === undefined) return undefined;
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(source.port, 0);
  ports.writeUInt16BE(destination.port, 2);
  const both = from.length === 4 && to.length === 4;
  // There is one family for the two: an IPv4 address beside an IPv6 one is written as IPv6.
  const parts = both ? [from, to] : [widened(from), widened(to)];
  return { family: both ? Family.inet : Family.inet6, block: Buffer.concat([...parts, ports]) };
}

/** 4 bytes also for an IPv4 address that is written as IPv6. */
function bytesOf({ address }: ProxyEndpoint): Buffer | undefined {
  const [plain = ''] = address.split('%', 1);
  if (isIP(plain) === 0) return undefined;
  const bytes = ipToBytes(plain);
  return bytes.length === 16 && MAPPED.equals(bytes.subarray(0, 12)) ? bytes.subarray(12) : bytes;
}

function widened(address: Buffer): Buffer {
  return address.length === 4 ? Buffer.concat([MAPPED, address]) : address;
}

function encodeTlv(type: number, value: Buffer): Buffer {
  const head = Buffer.alloc(3);
  head.writeUInt8(type, 0);
  head.writeUInt16BE(value.length, 1);
  return Buffer.concat([head, value]);
}
