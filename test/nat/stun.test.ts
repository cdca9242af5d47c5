import { describe, expect, test } from 'vitest';
import { crc32 } from '../../src/nat/crc32.ts';
import {
  ATTRIBUTE,
  BINDING,
  decodeStun,
  encodeAttribute,
  encodeStun,
  isStun,
  type StunClass,
  unknownRequired,
} from '../../src/nat/stun.ts';
import {
  changeRequest,
  decodeAddress,
  decodeXorAddress,
  encodeAddress,
  encodeChangeRequest,
  encodeXorAddress,
  mappedAddress,
  otherAddress,
} from '../../src/nat/stun-address.ts';
import { ipFromBytes } from '../../src/net/ip.ts';
import { Random } from '../support/random.ts';
import { ensure, forSeeds, mutate } from '../support/seeds.ts';

const ID = Buffer.from('0102030405060708090a0b0c', 'hex');
const CLASSES: readonly [StunClass, ...StunClass[]] = ['request', 'indication', 'success', 'error'];

/** A message without FINGERPRINT, byte by byte. */
function raw(
  type: number,
  attributes: Buffer,
  { length = attributes.length, cookie = 0x2112a442 } = {},
): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(type, 0);
  header.writeUInt16BE(length, 2);
  header.writeUInt32BE(cookie, 4);
  return Buffer.concat([header, ID, attributes]);
}

test('the checksum is the one of Ethernet', () => {
  expect(crc32(Buffer.from('123456789'))).toBe(0xcbf43926);
  expect(crc32(Buffer.alloc(0))).toBe(0);
});

test('a Binding request is 28 bytes, as the RFC draws it', () => {
  const bytes = encodeStun({ class: 'request', transactionId: ID });
  expect(bytes.subarray(0, 24).toString('hex')).toBe('000100082112a4420102030405060708090a0b0c80280004');
  expect(bytes.length).toBe(28);
});

test.each([
  ['request', 0x0001],
  ['indication', 0x0011],
  ['success', 0x0101],
  ['error', 0x0111],
] as const)('the type of a Binding %s is %i', (kind, type) => {
  expect(encodeStun({ class: kind, transactionId: ID }).readUInt16BE()).toBe(type);
  expect(decodeStun(raw(type, Buffer.alloc(0)))).toMatchObject({ class: kind, method: BINDING });
});

test('whatever is encoded is decoded to the same', () => {
  forSeeds(2000, (random) => {
    const kind = random.pick(CLASSES);
    const method = random.integer(0x1000);
    const attributes = new Map<number, Buffer>();
    for (let i = random.integer(6); i > 0; i--) {
      attributes.set(0x9000 + random.integer(0x1000), random.bytes(random.integer(40)));
    }
    const transactionId = random.bytes(12);
    const decoded = decodeStun(encodeStun({ class: kind, method, transactionId, attributes }));
    ensure(decoded?.class === kind && decoded.method === method, 'class and method are kept');
    ensure(decoded?.transactionId.equals(transactionId) ?? false, 'the transaction id is kept');
    ensure(decoded?.attributes.size === attributes.size, 'every attribute is there');
    for (const [type, value] of attributes)
      ensure(decoded?.attributes.get(type)?.equals(value) ?? false, 'it is kept');
  });
});

describe('what is not STUN', () => {
  const attribute = encodeAttribute(0x9000, Buffer.from('abcde'));

  test.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['half a header', raw(1, Buffer.alloc(0)).subarray(0, 19)],
    ['no magic cookie', raw(1, Buffer.alloc(0), { cookie: 0x2112a443 })],
    ['QUIC’s first bit', raw(0x4001, Buffer.alloc(0))],
    ['a length beyond the end', raw(1, attribute, { length: 16 })],
    ['a length before the end', raw(1, attribute, { length: 8 })],
    ['a length that is no multiple of four', raw(1, Buffer.alloc(3))],
    ['an attribute beyond the end', raw(1, Buffer.from('9000000900000000', 'hex'))],
    ['an attribute without padding', raw(1, Buffer.from('900000016100', 'hex'))],
    ['more than 32 attributes', raw(1, Buffer.concat(Array(33).fill(Buffer.from('90000000', 'hex'))))],
    ['more than a packet', raw(1, encodeAttribute(0x9000, Buffer.alloc(1480)))],
    ['a wrong FINGERPRINT', raw(1, Buffer.from('8028000400000000', 'hex'))],
    ['a FINGERPRINT of another size', raw(1, Buffer.from('80280000', 'hex'))],
  ])('%s', (_, bytes) => {
    expect(decodeStun(bytes)).toBeUndefined();
  });

  test('something after FINGERPRINT', () => {
    const whole = encodeStun({ class: 'request', transactionId: ID });
    const more = Buffer.concat([whole, attribute]);
    more.writeUInt16BE(more.length - 20, 2);
    expect(decodeStun(more)).toBeUndefined();
  });
});

test('the first attribute of a type counts, and nothing after MESSAGE-INTEGRITY', () => {
  const bytes = raw(
    1,
    Buffer.concat([
      encodeAttribute(0x9000, Buffer.from('one')),
      encodeAttribute(0x9000, Buffer.from('two')),
      encodeAttribute(ATTRIBUTE.messageIntegrity, Buffer.alloc(20)),
      encodeAttribute(0x9001, Buffer.from('late')),
      encodeAttribute(ATTRIBUTE.messageIntegritySha256, Buffer.alloc(32)),
    ]),
  );
  const message = decodeStun(bytes);
  expect(message?.attributes.get(0x9000)?.toString()).toBe('one');
  expect([...(message?.attributes.keys() ?? [])]).toEqual([0x9000, 0x0008, 0x001c]);
});

test('nothing but FINGERPRINT counts after MESSAGE-INTEGRITY-SHA256', () => {
  const sealed = encodeAttribute(ATTRIBUTE.messageIntegritySha256, Buffer.alloc(32));
  const late = [ATTRIBUTE.messageIntegrity, 0x9001].map((type) => encodeAttribute(type, Buffer.alloc(20)));
  const message = decodeStun(raw(1, Buffer.concat([sealed, ...late])));
  expect([...(message?.attributes.keys() ?? [])]).toEqual([0x001c]);
});

test('what has to be understood is found', () => {
  const attributes = new Map([0x0003, 0x0027, 0x7fff, 0x8000, 0x802c].map((type) => [type, Buffer.alloc(4)]));
  const message = decodeStun(encodeStun({ class: 'request', transactionId: ID, attributes }));
  expect(message && unknownRequired(message, [ATTRIBUTE.changeRequest])).toEqual([0x0027, 0x7fff]);
});

test('no bytes make the decoder throw, and what it accepts it can encode again', () => {
  const attributes: [number, Buffer][] = [
    [ATTRIBUTE.xorMappedAddress, encodeXorAddress({ address: '45.80.1.2', port: 40_000 }, ID)],
    [ATTRIBUTE.otherAddress, encodeAddress({ address: '2a0e::1', port: 3479 })],
    [ATTRIBUTE.changeRequest, encodeChangeRequest({ address: true, port: true })],
  ];
  const whole = encodeStun({ class: 'success', transactionId: ID, attributes });
  const bare = whole.subarray(0, whole.length - 8);
  bare.writeUInt16BE(bare.length - 20, 2);
  let accepted = 0;
  forSeeds(20_000, (random) => {
    const bytes = random.next() < 0.1 ? random.bytes(random.integer(200)) : mutate(bare, random);
    const message = decodeStun(bytes);
    if (message === undefined) return;
    accepted++;
    mappedAddress(message);
    otherAddress(message);
    changeRequest(message);
    const again = decodeStun(encodeStun(message));
    ensure(again?.attributes.size === message.attributes.size, 'nothing is lost');
    ensure(isStun(bytes), 'it looks like STUN');
  });
  expect(accepted).toBeGreaterThan(1000);
});

test('addresses survive, plain and masked, and a mask hides them', () => {
  forSeeds(2000, (random) => {
    const address = ipFromBytes(random.bytes(random.pick([4, 16])));
    const endpoint = { address, port: random.integer(65_536) };
    const id = random.bytes(12);
    expect(decodeAddress(encodeAddress(endpoint))).toEqual(endpoint);
    const masked = encodeXorAddress(endpoint, id);
    expect(decodeXorAddress(masked, id)).toEqual(endpoint);
    expect(masked.subarray(2).equals(encodeAddress(endpoint).subarray(2))).toBe(false);
  });
});

test.each([
  '',
  '0001',
  '0001ffff0102',
  '0001ffff0102030405',
  '0002ffff01020304',
  '0003ffff01020304',
  '0000ffff',
])('no address: %j', (hex) => {
  const value = Buffer.from(hex, 'hex');
  expect([decodeAddress(value), decodeXorAddress(value, ID)]).toEqual([undefined, undefined]);
});

test('an old server’s MAPPED-ADDRESS will do, and XOR-MAPPED-ADDRESS is better', () => {
  const plain: [number, Buffer] = [ATTRIBUTE.mappedAddress, encodeAddress({ address: '192.0.2.9', port: 9 })];
  const masked: [number, Buffer] = [
    ATTRIBUTE.xorMappedAddress,
    encodeXorAddress({ address: '192.0.2.1', port: 1 }, ID),
  ];
  const mapped = (...attributes: [number, Buffer][]) => {
    const message = decodeStun(encodeStun({ class: 'success', transactionId: ID, attributes }));
    return message && mappedAddress(message)?.port;
  };
  expect([mapped(plain), mapped(plain, masked), mapped()]).toEqual([9, 1, undefined]);
});

test.each([
  [{ address: true, port: true }, '00000006'],
  [{ address: true, port: false }, '00000004'],
  [{ address: false, port: true }, '00000002'],
])('CHANGE-REQUEST %j is %s', (change, hex) => {
  const value = encodeChangeRequest(change);
  expect(value.toString('hex')).toBe(hex);
  const attributes: [number, Buffer][] = [[ATTRIBUTE.changeRequest, value]];
  const message = decodeStun(
    encodeStun({ class: 'request', transactionId: new Random(1).bytes(12), attributes }),
  );
  expect(message && changeRequest(message)).toEqual(change);
});
