import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodePcpMap, encodePcpMap } from '../../../src/nat/port-mapping/pcp.ts';
import { ipFromBytes } from '../../../src/net/ip.ts';
import { ensure, forSeeds, mutate } from '../../support/seeds.ts';
import { pcpAnswer } from './virtual-router.ts';

const nonce = Buffer.from('0102030405060708090a0b0c', 'hex');
const request = { nonce, client: '192.168.1.20', internalPort: 0xa112 };

describe('a PCP MAP request (RFC 6887 sections 7.1 and 11.1)', () => {
  it('has every field where the RFC wants it', () => {
    const suggested = { address: '203.0.113.7', port: 0xb223 };
    expect(encodePcpMap({ ...request, suggested, lifetime: 7200 }).toString('hex')).toBe(
      '02010000' + // version 2, MAP, reserved
        '00001c20' + // lifetime
        '00000000000000000000ffffc0a80114' + // client
        '0102030405060708090a0b0c' + // nonce
        '11000000' + // UDP, reserved
        'a112b223' + // ports
        '00000000000000000000ffffcb007107',
    );
  });

  it('deletes with lifetime 0, port 0 and the all-zeros IPv4 address (erratum 3621)', () => {
    const bytes = encodePcpMap({ ...request, lifetime: 0 });
    expect(bytes.readUInt32BE(4)).toBe(0);
    expect(bytes.subarray(42).toString('hex')).toBe('000000000000000000000000ffff00000000');
  });
});

describe('an answer to MAP (RFC 6887 sections 7.2 and 11.1)', () => {
  const answer = { nonce, internalPort: 0xa112, externalPort: 0xb223, externalAddress: '203.0.113.7' };
  const bytes = pcpAnswer(answer);

  it('is read', () => {
    expect(decodePcpMap(bytes)).toEqual({
      result: 0,
      lifetime: 7200,
      mapping: { nonce, internalPort: 0xa112, external: { address: '203.0.113.7', port: 0xb223 } },
    });
  });

  it('is read with options behind it, and as an error without the request', () => {
    expect(decodePcpMap(Buffer.concat([bytes, Buffer.alloc(40)]))?.result).toBe(0);
    const bare = pcpAnswer({ ...answer, result: 4 }).subarray(0, 24);
    expect(decodePcpMap(bare)).toEqual({ result: 4, lifetime: 7200, mapping: undefined });
  });

  const changed = (at: number, value: number) => Buffer.from(bytes).fill(value, at, at + 1);
  it.each([
    ['nothing', Buffer.alloc(0)],
    ['less than a header', bytes.subarray(0, 20)],
    ['a success without its mapping', bytes.subarray(0, 24)],
    ['a size that is no multiple of four', Buffer.concat([bytes, Buffer.alloc(1)])],
    ['more than 1100 bytes', Buffer.concat([bytes, Buffer.alloc(1044)])],
    ['another version', changed(0, 1)],
    ['a request', changed(1, 0x01)],
    ['an answer to ANNOUNCE', changed(1, 0x80)],
    ['an answer for TCP', changed(36, 6)],
  ])('is not %s', (_, hostile) => {
    expect(decodePcpMap(hostile)).toBeUndefined();
  });

  it('says what its writer meant', () => {
    const port = fc.integer({ min: 0, max: 65535 });
    const bytesOf = (size: number) => fc.uint8Array({ minLength: size, maxLength: size }).map(Buffer.from);
    const any = fc.record({
      result: fc.integer({ min: 0, max: 255 }),
      lifetime: fc.integer({ min: 0, max: 0xffffffff }),
      nonce: bytesOf(12),
      internalPort: port,
      externalPort: port,
      externalAddress: bytesOf(4).map(ipFromBytes),
    });
    fc.assert(
      fc.property(any, ({ result, lifetime, nonce, internalPort, externalPort, externalAddress }) => {
        const read = decodePcpMap(
          pcpAnswer({ result, lifetime, nonce, internalPort, externalPort, externalAddress }),
        );
        const external = { address: externalAddress, port: externalPort };
        expect(read).toEqual({ result, lifetime, mapping: { nonce, internalPort, external } });
      }),
    );
  });

  it('is never thrown at, whatever it is', () => {
    forSeeds(3000, (random) => {
      const read = decodePcpMap(mutate(bytes, random));
      ensure(
        read === undefined || read.mapping === undefined || read.mapping.nonce.length === 12,
        'a whole nonce',
      );
    });
  });
});
