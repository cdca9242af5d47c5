import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeNatPmp,
  encodeAddressRequest,
  encodeMapRequest,
} from '../../../src/nat/port-mapping/nat-pmp.ts';
import { ensure, forSeeds, mutate } from '../../support/seeds.ts';
import { natPmpAddress, natPmpError, natPmpMapped } from './virtual-router.ts';

describe('NAT-PMP requests (RFC 6886 sections 3.2 to 3.4)', () => {
  it('have every field where the RFC wants it', () => {
    expect(encodeAddressRequest().toString('hex')).toBe('0000');
    const request = { internalPort: 0xa112, suggestedPort: 0xb223, lifetime: 7200 };
    expect(encodeMapRequest(request).toString('hex')).toBe('00010000a112b22300001c20');
    const remove = { internalPort: 0xa112, suggestedPort: 0, lifetime: 0 };
    expect(encodeMapRequest(remove).toString('hex')).toBe('00010000a112000000000000');
  });
});

describe('NAT-PMP answers (RFC 6886 sections 3.2, 3.3 and 3.5)', () => {
  const read = (hex: string) => decodeNatPmp(Buffer.from(hex, 'hex'));

  it('are read', () => {
    expect(read('00800000000003e8cb007107')).toEqual({ type: 'address', address: '203.0.113.7' });
    expect(read('00810000000003e8a112b22300001c20')).toEqual({
      type: 'mapped',
      internalPort: 0xa112,
      externalPort: 0xb223,
      lifetime: 7200,
    });
    expect(read('00800003000003e8')).toEqual({ type: 'error', result: 3 });
    expect(read('00810002000003e8a112000000000000')).toEqual({ type: 'error', result: 2 });
  });

  it('say that a version is not supported in whatever opcode', () => {
    for (const opcode of ['00', '01', '80', '81', '82'])
      expect(read(`00${opcode}0001000003e8`)).toEqual({ type: 'error', result: 1 });
  });

  it.each([
    ['nothing', ''],
    ['half a header', '00800000'],
    ['an address without the address', '00800000000003e8'],
    ['an address and more', '00800000000003e8cb00710700'],
    ['half a mapping', '00810000000003e8a112b223'],
    ['another version', '01800000000003e8cb007107'],
    ['a request', '00010000a112b22300001c20'],
    ['a mapping for TCP', '00820000000003e8a112b22300001c20'],
  ])('are not %s', (_, hex) => {
    expect(read(hex)).toBeUndefined();
  });

  it('say what their writer meant', () => {
    const port = fc.integer({ min: 0, max: 65535 });
    const lifetime = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(port, port, lifetime, (internalPort, externalPort, lifetime) => {
        const answer = decodeNatPmp(natPmpMapped(internalPort, externalPort, lifetime));
        expect(answer).toEqual({ type: 'mapped', internalPort, externalPort, lifetime });
      }),
    );
  });

  it('are never thrown at, whatever they are', () => {
    const answers = [natPmpAddress('203.0.113.7'), natPmpMapped(1, 2), natPmpError(0, 3)] as const;
    forSeeds(3000, (random) => {
      const answer = decodeNatPmp(mutate(random.pick(answers), random));
      ensure(answer?.type !== 'address' || /^[\d.]+$/.test(answer.address), 'an IPv4 address');
    });
  });
});
