import { isIPv6 } from 'node:net';
import { describe, expect, it } from 'vitest';
import { ipFromBytes, ipToBytes, scopeOf } from '../../src/net/ip.ts';
import { thrownBy } from '../support/errors.ts';
import { ensure, forSeeds } from '../support/seeds.ts';

describe('addresses as bytes', () => {
  it.each([
    ['192.0.2.1', 'c0000201', '192.0.2.1'],
    ['0.0.0.0', '00000000', '0.0.0.0'],
    ['::', '0'.repeat(32), '::'],
    ['::1', `${'0'.repeat(31)}1`, '::1'],
    ['2001:DB8:0:0:1:0:0:1', '20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
    ['1:0:0:2:0:0:0:3', '00010000000000020000000000000003', '1:0:0:2::3'],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000', '1:2:3:4:5:6:7:0'],
    ['fe80::1%eth0', 'fe800000000000000000000000000001', 'fe80::1'],
    ['64:ff9b::192.0.2.1', '0064ff9b0000000000000000c0000201', '64:ff9b::c000:201'],
    ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201', '192.0.2.1'],
  ])('%s', (text, hex, canonical) => {
    expect(ipToBytes(text).toString('hex')).toBe(hex);
    expect(ipFromBytes(Buffer.from(hex, 'hex'))).toBe(canonical);
  });

  it('come back as they went', () => {
    forSeeds(500, (random) => {
      const bytes = random.bytes(random.pick([4, 16]));
      for (let i = random.integer(12); i > 0 && bytes.length === 16; i--) bytes[random.integer(16)] = 0;
      const text = ipFromBytes(bytes);
      ensure(ipToBytes(text).equals(bytes), text);
      // What URL makes of it is canonical too, by somebody else's code.
      if (isIPv6(text)) ensure(new URL(`ws://[${text}]`).hostname === `[${text}]`, text);
    });
  });

  it.each(['', 'localhost', '1.2.3', '1.2.3.4.5', '::1::', '[::1]', '%eth0'])('%j is no address', (text) => {
    expect(thrownBy(() => ipToBytes(text)).code).toBe('address_invalid');
  });

  it.each([0, 3, 5, 15, 17])('%i bytes are no address', (size) => {
    expect(() => ipFromBytes(Buffer.alloc(size))).toThrow(RangeError);
  });
});

describe('scopeOf', () => {
  it.each([
    ['8.8.8.8', 'global'],
    ['45.80.1.2', 'global'],
    ['2a0e:a2::2', 'global'],
    ['64:ff9b::808:808', 'global'],
    ['10.255.0.1', 'private'],
    ['172.15.255.255', 'global'],
    ['172.16.0.0', 'private'],
    ['172.31.255.255', 'private'],
    ['172.32.0.0', 'global'],
    ['192.168.1.1', 'private'],
    ['::ffff:192.168.1.1', 'private'],
    ['100.63.255.255', 'global'],
    ['100.64.0.0', 'shared'],
    ['100.127.255.255', 'shared'],
    ['100.128.0.0', 'global'],
    ['127.1.2.3', 'loopback'],
    ['::1', 'loopback'],
    ['169.254.1.1', 'link-local'],
    ['fe80::1%eth0', 'link-local'],
    ['febf::1', 'link-local'],
    ['fd00::1', 'unique-local'],
    ['224.0.0.1', 'multicast'],
    ['239.255.255.250', 'multicast'],
    ['ff02::1', 'multicast'],
    ['255.255.255.255', 'broadcast'],
    ['240.0.0.1', 'reserved'],
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'reserved'],
    ['::', 'unspecified'],
    ['192.0.2.1', 'reserved'],
    ['198.18.0.1', 'reserved'],
    ['198.19.255.255', 'reserved'],
    ['198.20.0.0', 'global'],
    ['2001:db8::1', 'reserved'],
    ['2001:0:4136:e378::1', 'reserved'],
    ['2001:200::1', 'global'],
    ['2002:102:304::1', 'reserved'],
    ['3fff:fff::1', 'reserved'],
    ['3fff:1000::1', 'global'],
    ['fec0::1', 'reserved'],
    ['100::1', 'reserved'],
    ['::1.2.3.4', 'reserved'],
  ])('%s is %s', (address, scope) => expect(scopeOf(address)).toBe(scope));
});
