import { expect, test } from 'vitest';
import { ipFromBytes } from '../../../src/net/ip.ts';
import { proxyHeader } from '../../../src/tunnel/local/proxy-protocol.ts';
import { forSeeds } from '../../support/seeds.ts';

const identity = '3f2a-91bc-0d4e-77a1-c2f0';
const SIGNATURE = '0d0a0d0a000d0a515549540a';
/** Type 0xE0, 24 bytes of text. */
const TLV = `e00018${Buffer.from(identity).toString('hex')}`;

// Written by hand from the specification: signature, version and command, family and protocol, length, addresses, ports.
test.each([
  [
    'TCP over IPv4',
    'tcp',
    '203.0.113.9',
    41000,
    '127.0.0.1',
    25565,
    '21 11 0027 cb007109 7f000001 a028 63dd',
  ],
  [
    'UDP over IPv4',
    'udp',
    '203.0.113.9',
    41000,
    '127.0.0.1',
    25565,
    '21 12 0027 cb007109 7f000001 a028 63dd',
  ],
  [
    'TCP over IPv6',
    'tcp',
    '2001:db8::9',
    0,
    '::1',
    80,
    '21 21 003f 20010db8000000000000000000000009 00000000000000000000000000000001 0000 0050',
  ],
  [
    'UDP over IPv6, with a zone',
    'udp',
    'fe80::9%eth0',
    7,
    '::1',
    80,
    '21 22 003f fe800000000000000000000000000009 00000000000000000000000000000001 0007 0050',
  ],
  [
    'IPv4 to IPv6',
    'tcp',
    '192.0.2.7',
    1,
    '::1',
    80,
    '21 21 003f 00000000000000000000ffffc0000207 00000000000000000000000000000001 0001 0050',
  ],
  [
    'IPv4 written as IPv6',
    'tcp',
    '::ffff:192.0.2.7',
    1,
    '::ffff:10.0.0.1',
    80,
    '21 11 0027 c0000207 0a000001 0001 0050',
  ],
] as const)('%s', (_, protocol, address, port, to, toPort, expected) => {
  const header = proxyHeader({
    protocol,
    source: { address, port, claimed: false },
    destination: { address: to, port: toPort },
    identity,
  });
  expect(header.toString('hex')).toBe(SIGNATURE + expected.replaceAll(' ', '') + TLV);
});

test.each([
  [undefined, { address: '127.0.0.1', port: 1 }],
  [{ address: '127.0.0.1', port: 1 }, undefined],
  [
    { address: 'who knows', port: 1 },
    { address: '127.0.0.1', port: 1 },
  ],
  [
    { address: '', port: 1 },
    { address: '127.0.0.1', port: 1 },
  ],
])('an address that is not known is LOCAL and UNSPEC: %j %j', (source, destination) => {
  const told = source && { ...source, claimed: true };
  const header = proxyHeader({ protocol: 'tcp', source: told, destination, identity });
  expect(header.toString('hex')).toBe(`${SIGNATURE}2000001b${TLV}`);
  expect(read(header)).toMatchObject({ command: 0, family: 0 });
});

test('an address that only the server has reported is marked', () => {
  const source = { address: '203.0.113.9', port: 0, claimed: true };
  const destination = { address: '127.0.0.1', port: 25565 };
  const header = proxyHeader({ protocol: 'tcp', source, destination, identity });
  expect(header.toString('hex')).toBe(`${SIGNATURE}2111002bcb0071097f000001000063dd${TLV}e1000101`);
});

/** As a service would, from the specification alone. */
function read(header: Buffer) {
  if (header.toString('hex', 0, 12) !== SIGNATURE || header.readUInt8(12) >> 4 !== 2)
    throw new Error('not v2');
  const [command, family, transport] = [
    header.readUInt8(12) & 15,
    header.readUInt8(13) >> 4,
    header.readUInt8(13) & 15,
  ];
  const end = 16 + header.readUInt16BE(14);
  const size = [0, 4, 16][family] ?? 0;
  const at = (offset: number) => ipFromBytes(header.subarray(offset, offset + size));
  const ports = 16 + 2 * size;
  const addresses = size > 0 && {
    source: { address: at(16), port: header.readUInt16BE(ports) },
    destination: { address: at(16 + size), port: header.readUInt16BE(ports + 2) },
  };
  const tlvs: Record<number, string> = {};
  let offset = size > 0 ? ports + 4 : 16;
  while (offset < end) {
    const length = header.readUInt16BE(offset + 1);
    tlvs[header.readUInt8(offset)] = header.toString('ascii', offset + 3, offset + 3 + length);
    offset += 3 + length;
  }
  return { command, family, transport, ...addresses, tlvs, rest: header.length - offset };
}

test('whatever addresses there are, they are read back, and nothing is left over', () => {
  forSeeds(500, (random) => {
    const any = () => ({
      address: ipFromBytes(random.bytes(random.pick([4, 16]))),
      port: random.integer(65536),
    });
    const [source, destination, protocol] = [any(), any(), random.pick<'tcp' | 'udp'>(['tcp', 'udp'])];
    const claimed = random.integer(2) === 1;
    const header = proxyHeader({ protocol, source: { ...source, claimed }, destination, identity });
    const mixed = source.address.includes(':') || destination.address.includes(':');
    expect(read(header)).toEqual({
      ...{ command: 1, family: mixed ? 2 : 1, transport: protocol === 'tcp' ? 1 : 2 },
      ...{ source, destination, tlvs: { 224: identity, ...(claimed && { 225: '\x01' }) }, rest: 0 },
    });
  });
});
