import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { ATTRIBUTE, decodeStun, encodeStun } from '../../src/nat/stun.ts';
import { mappedAddress } from '../../src/nat/stun-address.ts';
import { hasIntegrity, integrityOf, longTermKey, shortTermKey } from '../../src/nat/stun-integrity.ts';
import { ensure, forSeeds, mutate } from '../support/seeds.ts';

// The test vectors of RFC 5769, sections 2.1 to 2.4.
const bytes = (hex: string) => Buffer.from(hex.replace(/\s+/g, ''), 'hex');

const REQUEST = bytes(`
  00010058 2112a442 b7e7a701 bc34d686 fa87dfae
  80220010 5354554e 20746573 7420636c 69656e74
  00240004 6e0001ff
  80290008 932ff9b1 51263b36
  00060009 6576746a 3a683676 59202020
  00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2
  80280004 e57a3bcf`);

const IPV4_RESPONSE = bytes(`
  0101003c 2112a442 b7e7a701 bc34d686 fa87dfae
  8022000b 74657374 20766563 746f7220
  00200008 0001a147 e112a643
  00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7
  80280004 c07d4c96`);

const IPV6_RESPONSE = bytes(`
  01010048 2112a442 b7e7a701 bc34d686 fa87dfae
  8022000b 74657374 20766563 746f7220
  00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
  00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41
  80280004 c8fb0b4c`);

const LONG_TERM_REQUEST = bytes(`
  00010060 2112a442 78ad3433 c6ad72c0 29da412e
  00060012 e3839ee3 8388e383 aae38383 e382afe3 82b90000
  0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 36347341
  0014000b 6578616d 706c652e 6f726700
  00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666`);

const USERHASH_REQUEST = bytes(`
  00010090 2112a442 78ad3433 c6ad72c0 29da412e
  001e0020 4a3cf38f ef6992bd a952c678 0417da0f 24819415 569e60b2 05c46e41 407f1704
  00150029 6f624d61 744a6f73 32414141 43662f2f 3439396b 39353464 364f4c33 346f4c39 46535476 79363473 41000000
  0014000b 6578616d 706c652e 6f726700
  001d0004 00020000
  001c0020 b5c7bf00 5b6c52a2 1c51c5e8 92f81924 136296cb 927c4314 9309278c c6518e65`);

const KEY = shortTermKey('VOkJxbRl1RmTxUk/WvJxBt');
const { messageIntegrity, messageIntegritySha256 } = ATTRIBUTE;
const text = (message: Buffer, type: number) => decodeStun(message)?.attributes.get(type)?.toString();

describe('RFC 5769', () => {
  test('2.1 sample request', () => {
    expect(decodeStun(REQUEST)).toMatchObject({ class: 'request', method: 1 });
    expect(text(REQUEST, ATTRIBUTE.software)).toBe('STUN test client');
    expect(text(REQUEST, ATTRIBUTE.username)).toBe('evtj:h6vY');
    expect(hasIntegrity(REQUEST, messageIntegrity, KEY)).toBe(true);
  });

  test('2.2 sample IPv4 response', () => {
    const message = decodeStun(IPV4_RESPONSE);
    expect(message?.class).toBe('success');
    expect(text(IPV4_RESPONSE, ATTRIBUTE.software)).toBe('test vector');
    expect(message && mappedAddress(message)).toEqual({ address: '192.0.2.1', port: 32853 });
    expect(hasIntegrity(IPV4_RESPONSE, messageIntegrity, KEY)).toBe(true);
  });

  test('2.3 sample IPv6 response', () => {
    const message = decodeStun(IPV6_RESPONSE);
    const address = '2001:db8:1234:5678:11:2233:4455:6677';
    expect(message && mappedAddress(message)).toEqual({ address, port: 32853 });
    expect(hasIntegrity(IPV6_RESPONSE, messageIntegrity, KEY)).toBe(true);
  });

  test('2.4 sample request with long-term authentication', () => {
    // SASLprep, which is the user's, has made TheMatrIX of "The<U+00AD>M<U+00AA>tr<U+2168>".
    const key = longTermKey('マトリックス', 'example.org', 'TheMatrIX');
    expect(text(LONG_TERM_REQUEST, ATTRIBUTE.username)).toBe('マトリックス');
    expect(text(LONG_TERM_REQUEST, ATTRIBUTE.realm)).toBe('example.org');
    expect(text(LONG_TERM_REQUEST, ATTRIBUTE.nonce)).toBe('f//499k954d6OL34oL9FSTvy64sA');
    expect(hasIntegrity(LONG_TERM_REQUEST, messageIntegrity, key)).toBe(true);
  });

  test.each([
    ['request', REQUEST],
    ['IPv4 response', IPV4_RESPONSE],
    ['IPv6 response', IPV6_RESPONSE],
  ])('no changed byte of the %s passes', (_, vector) => {
    forSeeds(2000, (random) => {
      const changed = mutate(vector, random);
      // FINGERPRINT, at the end, is not covered.
      const covered = vector.length - 8;
      if (changed.subarray(0, covered).equals(vector.subarray(0, covered))) return;
      const passes = decodeStun(changed) !== undefined && hasIntegrity(changed, messageIntegrity, KEY);
      ensure(!passes, 'a change is seen');
    });
  });

  // Padding may be anything; these vectors have spaces where ours has zeros.
  test.each([
    ['request', REQUEST, 3],
    ['IPv4 response', IPV4_RESPONSE, 1],
    ['IPv6 response', IPV6_RESPONSE, 1],
    ['long-term request', LONG_TERM_REQUEST, 0],
  ])('the %s is encoded to the same bytes again, but for its padding', (_, vector, spaces) => {
    const message = decodeStun(vector);
    const again = message && encodeStun(message);
    const covered = again?.length ? again.length - 8 : 0;
    const changed = [...vector.subarray(4, covered)].flatMap((byte, i) =>
      byte === again?.[4 + i] ? [] : [[byte, again?.[4 + i]]],
    );
    expect(changed).toEqual(Array(spaces).fill([0x20, 0]));
  });

  test('a wrong key does not pass, and a message without the attribute neither', () => {
    expect(hasIntegrity(REQUEST, messageIntegrity, shortTermKey('wrong'))).toBe(false);
    expect(hasIntegrity(REQUEST, messageIntegritySha256, KEY)).toBe(false);
  });
});

describe('MESSAGE-INTEGRITY-SHA256', () => {
  test('RFC 8489 appendix B.1, as its erratum 6268 has it', () => {
    // This one's key is made with SHA-256, not MD5 (section 18.5.1.2).
    const key = createHash('sha256').update('マトリックス:example.org:TheMatrIX').digest();
    expect(hasIntegrity(USERHASH_REQUEST, messageIntegritySha256, key)).toBe(true);
    expect(hasIntegrity(USERHASH_REQUEST, messageIntegritySha256, KEY)).toBe(false);
  });

  /** A request that ends with the attribute, cut to a size. */
  function signed(size: number): Buffer {
    const bare = encodeStun({ class: 'request', transactionId: Buffer.alloc(12, 7) }).subarray(0, 20);
    const attribute = Buffer.alloc(4);
    attribute.writeUInt16BE(messageIntegritySha256, 0);
    attribute.writeUInt16BE(size, 2);
    const mac = integrityOf(bare, 20, messageIntegritySha256, KEY, size);
    const message = Buffer.concat([bare, attribute, mac]);
    message.writeUInt16BE(message.length - 20, 2);
    return message;
  }

  test.each([16, 20, 24, 28, 32])('of %i bytes counts', (size) => {
    expect(hasIntegrity(signed(size), messageIntegritySha256, KEY)).toBe(true);
  });

  test.each([0, 4, 12])('of %i bytes is too easy to guess', (size) => {
    expect(hasIntegrity(signed(size), messageIntegritySha256, KEY)).toBe(false);
  });
});
