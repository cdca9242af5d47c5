import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  DatagramError,
  decodeDatagram,
  encodeFragment,
  encodeWhole,
  flowKey,
  MAX_PAYLOAD,
} from '../../../src/tunnel/udp/datagram-frame.ts';
import { ensure, forSeeds, mutate } from '../../support/seeds.ts';

const port = fc.nat(0xffff);
const flow = fc.nat(0xffff_ffff);

it('is the bytes of the document', () => {
  expect(encodeWhole(0x0102, 0xf3040506, Buffer.from('hi')).toString('hex')).toBe('000102f30405066869');
  const fragment = { packet: 0xfe08, index: 9, count: 255 };
  expect(encodeFragment(0x0102, 0xf3040506, fragment, Buffer.from('hi')).toString('hex')).toBe(
    '010102f3040506fe0809ff6869',
  );
});

it('says what was said', () => {
  fc.assert(
    fc.property(port, flow, fc.uint8Array({ maxLength: 64 }), (port, flow, bytes) => {
      const payload = Buffer.from(bytes);
      expect(decodeDatagram(encodeWhole(port, flow, payload))).toEqual({ port, flow, payload });
    }),
  );
  const pieces = fc.tuple(fc.nat(0xffff), fc.integer({ min: 2, max: 255 }), fc.nat(254));
  const payload = fc.uint8Array({ minLength: 1, maxLength: 64 });
  fc.assert(
    fc.property(port, flow, pieces, payload, (port, flow, [packet, count, at], bytes) => {
      const fragment = { packet, index: at % count, count };
      const payload = Buffer.from(bytes);
      expect(decodeDatagram(encodeFragment(port, flow, fragment, payload))).toEqual({
        ...{ port, flow, fragment, payload },
      });
    }),
  );
});

it.each([
  ['nothing', ''],
  ['less than a header', '000000000000'],
  ['an unknown type', '02000000000000'],
  ['a fragment of nothing', '0100000000000000000002'],
  ['one fragment of one', '010000000000000000000161'],
  ['none of none', '010000000000000000000061'],
  ['the third of two', '010000000000000000020261'],
])('refuses %s', (_, hex) => {
  expect(() => decodeDatagram(Buffer.from(hex, 'hex'))).toThrow(DatagramError);
});

it('takes as much as UDP does, and no more', () => {
  const most = encodeWhole(0, 0, Buffer.alloc(MAX_PAYLOAD));
  expect(decodeDatagram(most).payload).toHaveLength(MAX_PAYLOAD);
  expect(decodeDatagram(encodeWhole(0, 0, Buffer.alloc(0))).payload).toHaveLength(0);
  expect(() => decodeDatagram(Buffer.concat([most, Buffer.of(0)]))).toThrow(DatagramError);
});

it('reads changed bytes as something that would be written so, or throws its own error', () => {
  forSeeds(5000, (random) => {
    const fragment = { packet: random.integer(65536), index: random.integer(3), count: 3 };
    const payload = random.bytes(1 + random.integer(30));
    const [port, flow] = [random.integer(65536), random.integer(2 ** 32)];
    const sent = random.pick([
      encodeWhole(port, flow, payload),
      encodeFragment(port, flow, fragment, payload),
    ]);
    const bytes = mutate(sent, random);
    try {
      const read = decodeDatagram(bytes);
      const again =
        read.fragment === undefined
          ? encodeWhole(read.port, read.flow, read.payload)
          : encodeFragment(read.port, read.flow, read.fragment, read.payload);
      ensure(again.equals(bytes), 'the same bytes');
    } catch (error) {
      if (!(error instanceof DatagramError)) throw error;
    }
  });
});

it('has a key for each flow', () => {
  expect(new Set([flowKey(0, 1), flowKey(1, 0), flowKey(1, 1), flowKey(0xffff, 0xffff_ffff)]).size).toBe(4);
  expect(Number.isSafeInteger(flowKey(0xffff, 0xffff_ffff))).toBe(true);
});
