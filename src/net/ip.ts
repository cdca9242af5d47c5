import { isIPv4, isIPv6 } from 'node:net';
import { UnderpassError } from '../errors.ts';

/** How far an address reaches (RFC 6890). Only what the whole internet can reach is `global`. */
export type IpScope =
  | 'global'
  | 'private'
  /** Between a provider's NAT and its customers (RFC 6598). */
  | 'shared'
  | 'loopback'
  | 'link-local'
  | 'unique-local'
  | 'multicast'
  | 'broadcast'
  | 'unspecified'
  /** For documentation, benchmarks, transition mechanisms, or not assigned. */
  | 'reserved';

/** An address in network order: 4 bytes, or 16, also for an IPv4-mapped one. A zone is dropped. Throws `address_invalid`. */
export function ipToBytes(address: string): Buffer {
  const [text = ''] = address.split('%', 1);
  if (isIPv4(text)) return Buffer.from(text.split('.').map(Number));
  if (!isIPv6(text)) throw new UnderpassError('address_invalid', { address });
  const [head = '', tail] = text.split('::');
  const [before, after] = [groupBytes(head), groupBytes(tail ?? '')];
  return Buffer.concat([before, Buffer.alloc(16 - before.length - after.length), after]);
}

/** The canonical text (RFC 5952) of 4 or 16 bytes; an IPv4-mapped address becomes the IPv4 one. */
export function ipFromBytes(bytes: Buffer): string {
  const four = bytes.length === 16 && MAPPED.equals(bytes.subarray(0, 12)) ? bytes.subarray(12) : bytes;
  if (four.length === 4) return four.join('.');
  if (four.length !== 16) throw new RangeError(`an IP address has 4 or 16 bytes, not ${four.length}`);
  const groups = Array.from({ length: 8 }, (_, i) => four.readUInt16BE(2 * i));
  const { start, length } = longestZeros(groups);
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

/** The scope of an address, an IPv4-mapped one's being that of the IPv4 address. Throws `address_invalid`. */
export function scopeOf(address: string): IpScope {
  const bytes = ipToBytes(address);
  const mapped = bytes.length === 16 && MAPPED.equals(bytes.subarray(0, 12));
  const plain = mapped ? bytes.subarray(12) : bytes;
  const known = NETWORKS.find((network) => contains(network, plain));
  if (known) return known.scope;
  return plain.length === 4 ? 'global' : 'reserved';
}

interface Network {
  readonly prefix: Buffer;
  readonly bits: number;
  readonly scope: IpScope;
}

const MAPPED = ipToBytes('::ffff:0:0').subarray(0, 12);

/** RFC 6890's registry as it stands, special cases before what contains them. */
const NETWORKS: readonly Network[] = [
  network('0.0.0.0/32', 'unspecified'),
  network('0.0.0.0/8', 'reserved'),
  network('10.0.0.0/8', 'private'),
  network('100.64.0.0/10', 'shared'),
  network('127.0.0.0/8', 'loopback'),
  network('169.254.0.0/16', 'link-local'),
  network('172.16.0.0/12', 'private'),
  network('192.0.0.0/24', 'reserved'),
  network('192.0.2.0/24', 'reserved'),
  network('192.88.99.0/24', 'reserved'),
  network('192.168.0.0/16', 'private'),
  network('198.18.0.0/15', 'reserved'),
  network('198.51.100.0/24', 'reserved'),
  network('203.0.113.0/24', 'reserved'),
  network('224.0.0.0/4', 'multicast'),
  network('255.255.255.255/32', 'broadcast'),
  network('240.0.0.0/4', 'reserved'),
  network('::/128', 'unspecified'),
  network('::1/128', 'loopback'),
  // NAT64's well-known prefix (RFC 6052) is the one global network outside 2000::/3.
  network('64:ff9b::/96', 'global'),
  // Teredo and the other protocol assignments, then 6to4: what tunnels through relays that are gone is of no use.
  network('2001::/23', 'reserved'),
  network('2001:db8::/32', 'reserved'),
  network('2002::/16', 'reserved'),
  network('3fff::/20', 'reserved'),
  network('2000::/3', 'global'),
  network('fc00::/7', 'unique-local'),
  network('fe80::/10', 'link-local'),
  network('ff00::/8', 'multicast'),
];

function network(text: string, scope: IpScope): Network {
  const [address = '', bits] = text.split('/');
  return { prefix: ipToBytes(address), bits: Number(bits), scope };
}

function contains({ prefix, bits }: Network, address: Buffer): boolean {
  if (address.length !== prefix.length) return false;
  const whole = bits >> 3;
  if (prefix.compare(address, 0, whole, 0, whole) !== 0) return false;
  const mask = (0xff00 >> (bits & 7)) & 0xff;
  return mask === 0 || ((address[whole] ?? 0) & mask) === prefix[whole];
}

/** Colon-separated groups, the last of which may be an IPv4 address, as bytes. */
function groupBytes(text: string): Buffer {
  if (text === '') return Buffer.alloc(0);
  const bytes = text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
  return Buffer.from(bytes);
}

/** The first of the longest runs of zero groups. */
function longestZeros(groups: readonly number[]): { start: number; length: number } {
  let longest = { start: 0, length: 0 };
  let length = 0;
  groups.forEach((group, i) => {
    length = group === 0 ? length + 1 : 0;
    if (length > longest.length) longest = { start: i - length + 1, length };
  });
  return longest;
}
