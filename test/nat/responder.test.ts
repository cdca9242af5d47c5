import { describe, expect, test } from 'vitest';
import { Responder } from '../../src/nat/responder.ts';
import { ATTRIBUTE, decodeStun, encodeStun, type StunMessage } from '../../src/nat/stun.ts';
import {
  decodeAddress,
  encodeChangeRequest,
  mappedAddress,
  otherAddress,
} from '../../src/nat/stun-address.ts';
import { ensure, forSeeds, mutate } from '../support/seeds.ts';

const GRID = { addresses: ['45.80.9.10', '45.80.9.11'], ports: [3478, 3479] };
const CLIENT = { address: '45.80.1.2', port: 40_000 };
const ID = Buffer.alloc(12, 5);
const FIRST = { address: 0, port: 0 };
const PADDING: [number, Buffer] = [ATTRIBUTE.software, Buffer.alloc(64, 0x20)];

function request(...attributes: [number, Buffer][]): Buffer {
  return encodeStun({ class: 'request', transactionId: ID, attributes });
}

const change = (address: boolean, port: boolean): [number, Buffer] => [
  ATTRIBUTE.changeRequest,
  encodeChangeRequest({ address, port }),
];

function decode(bytes: Buffer | undefined): StunMessage | undefined {
  return bytes && decodeStun(bytes);
}

test('a Binding request is told where it came from, where the answer comes from, and where else to ask', () => {
  const answer = new Responder(GRID).respond(request(), CLIENT, { address: 1, port: 0 }, 0);
  expect(answer).toMatchObject({ address: 1, port: 0 });
  const message = decode(answer?.bytes);
  expect(message).toMatchObject({ class: 'success', transactionId: ID });
  expect(message && mappedAddress(message)).toEqual(CLIENT);
  expect(message && otherAddress(message)).toEqual({ address: '45.80.9.10', port: 3479 });
  const origin = message?.attributes.get(ATTRIBUTE.responseOrigin);
  expect(origin && decodeAddress(origin)).toEqual({ address: '45.80.9.11', port: 3478 });
});

test.each([
  [true, true, 1, 1],
  [true, false, 1, 0],
  [false, true, 0, 1],
  [false, false, 0, 0],
])(
  'asked to change address: %s and port: %s it answers from %i, %i',
  (address, port, fromAddress, fromPort) => {
    const answer = new Responder(GRID).respond(request(change(address, port), PADDING), CLIENT, FIRST, 0);
    expect(answer).toMatchObject({ address: fromAddress, port: fromPort });
    const origin = decode(answer?.bytes)?.attributes.get(ATTRIBUTE.responseOrigin);
    expect(origin && decodeAddress(origin)).toEqual({
      address: GRID.addresses[fromAddress],
      port: GRID.ports[fromPort],
    });
  },
);

test.each([
  ['one address', { addresses: ['45.80.9.10'], ports: [3478, 3479] }],
  ['one port', { addresses: ['45.80.9.10', '45.80.9.11'], ports: [3478] }],
  ['a wildcard', { addresses: [undefined], ports: [3478, 3479] }],
  ['a wildcard and an address', { addresses: ['45.80.9.10', undefined], ports: [3478, 3479] }],
  ['one name for two addresses', { addresses: ['45.80.9.10', '45.80.9.10'], ports: [3478, 3479] }],
])('with %s there is nothing to change, and no other address', (_, places) => {
  const responder = new Responder(places);
  const refused = responder.respond(request(change(true, true), PADDING), CLIENT, FIRST, 0);
  expect(refused).toMatchObject(FIRST);
  expect(decode(refused?.bytes)?.class).toBe('error');
  expect(decode(refused?.bytes)?.attributes.get(ATTRIBUTE.errorCode)?.toString('hex')).toBe('00000414');
  expect(decode(refused?.bytes)?.attributes.get(ATTRIBUTE.unknownAttributes)?.toString('hex')).toBe('0003');
  const plain = decode(responder.respond(request(), CLIENT, FIRST, 0)?.bytes);
  expect(plain && [plain.class, otherAddress(plain)]).toEqual(['success', undefined]);
});

test('what it does not understand and should, it refuses by name: RESPONSE-PORT would aim at others', () => {
  const bytes = request([ATTRIBUTE.responsePort, Buffer.from('1f900000', 'hex')], [0x7abc, Buffer.alloc(0)]);
  const message = decode(new Responder(GRID).respond(bytes, CLIENT, FIRST, 0)?.bytes);
  expect(message?.class).toBe('error');
  expect(message?.attributes.get(ATTRIBUTE.unknownAttributes)?.toString('hex')).toBe('00277abc');
});

describe('silence', () => {
  const respond = (bytes: Buffer, from = CLIENT) => new Responder(GRID).respond(bytes, from, FIRST, 0);

  test.each(['indication', 'success', 'error'] as const)('for a Binding %s', (kind) => {
    expect(respond(encodeStun({ class: kind, transactionId: ID }))).toBeUndefined();
  });

  test('for another method, and for what is not STUN', () => {
    expect(respond(encodeStun({ class: 'request', method: 3, transactionId: ID }))).toBeUndefined();
    expect(respond(Buffer.from('hello'))).toBeUndefined();
    expect(respond(Buffer.alloc(0))).toBeUndefined();
  });

  test.each([
    ['port 0', { address: '45.80.1.2', port: 0 }],
    ['a multicast address', { address: '224.0.0.251', port: 5353 }],
    ['the broadcast address', { address: '255.255.255.255', port: 9 }],
    ['ourselves', { address: '45.80.9.11', port: 3479 }],
  ])('for %s', (_, from) => {
    expect(respond(request(), from)).toBeUndefined();
  });
});

describe('answers per source', () => {
  test('are limited, and come back with time', () => {
    const responder = new Responder(GRID);
    const answers = (address: string, now: number, count: number) => {
      let given = 0;
      for (let i = 0; i < count; i++)
        if (responder.respond(request(), { address, port: 1000 + i }, FIRST, now)) given++;
      return given;
    };
    expect(answers('45.80.1.2', 0, 2000)).toBe(1200);
    expect(answers('45.80.1.3', 0, 10)).toBe(10);
    expect(answers('45.80.1.2', 1000, 2000)).toBe(20);
  });

  test('count an IPv6 household once', () => {
    const responder = new Responder({ addresses: ['2a0e:90::10'], ports: [3478] });
    let given = 0;
    for (let i = 0; i < 1500; i++) {
      const from = { address: `2a0e:a2:0:1::${(i + 1).toString(16)}`, port: 4000 };
      if (responder.respond(request(), from, FIRST, 0)) given++;
    }
    expect(given).toBe(1200);
  });
});

test('answers in all are limited, whatever the sources', () => {
  const responder = new Responder(GRID);
  const answers = (now: number) => {
    let given = 0;
    for (let i = 0; i < 6000; i++) {
      const from = { address: `45.${i >> 8}.${i & 255}.1`, port: 4000 };
      if (responder.respond(request(), from, FIRST, now)) given++;
    }
    return given;
  };
  expect([answers(0), answers(999), answers(1000)]).toEqual([5000, 0, 5000]);
});

test('an answer from elsewhere is never larger than what it answers, whatever that is', () => {
  const responder = new Responder({ addresses: ['2a0e:90::10', '2a0e:90::11'], ports: [3478, 3479] });
  let answered = 0;
  let silent = 0;
  forSeeds(20_000, (random, now) => {
    const padding = random.bytes(random.integer(100));
    const whole = request(change(random.next() < 0.5, random.next() < 0.5), [ATTRIBUTE.software, padding]);
    const bare = Buffer.from(whole.subarray(0, whole.length - 8));
    bare.writeUInt16BE(bare.length - 20, 2);
    const bytes = random.next() < 0.5 ? whole : mutate(bare, random);
    const from = { address: `2a0e:${random.integer(65536).toString(16)}::1`, port: 4000 };
    const answer = responder.respond(bytes, from, FIRST, now);
    if (answer === undefined) silent++;
    else answered++;
    const moved = decodeStun(bytes)?.attributes.has(ATTRIBUTE.changeRequest);
    if (answer && moved) ensure(answer.bytes.length <= bytes.length, 'it is not larger');
    if (answer && !moved)
      ensure(answer.address === 0 && answer.port === 0, 'it comes from where it was asked');
  });
  expect(answered).toBeGreaterThan(2000);
  expect(silent).toBeGreaterThan(1000);
});
