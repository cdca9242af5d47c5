import { describe, expect, it } from 'vitest';
import {
  DatagramError,
  decodeDatagram,
  type Fragment,
  MAX_PAYLOAD,
} from '../../../src/tunnel/udp/datagram-frame.ts';
import { Cutting } from '../../../src/tunnel/udp/fragments.ts';
import { Reassembly } from '../../../src/tunnel/udp/reassembly.ts';
import type { Random } from '../../support/random.ts';
import { ensure, forSeeds } from '../../support/seeds.ts';

function cut(payload: Buffer, maxDatagram: number, packet = 1, flow = 1): Buffer[] {
  const cutting = Cutting.of(0, flow, packet, payload, maxDatagram);
  if (cutting === undefined) throw new Error('not to be cut');
  const pieces = [cutting.next()];
  while (cutting.advance()) {
    const announced = cutting.nextLength;
    pieces.push(cutting.next());
    ensure(pieces.at(-1)?.length === announced, 'as long as it said');
  }
  return pieces;
}

function feed(reassembly: Reassembly, datagram: Buffer, now = 0): Buffer | undefined {
  const { port, flow, fragment, payload } = decodeDatagram(datagram);
  return reassembly.receive(port, flow, fragment as Fragment, payload, now);
}

function shuffled<T>(items: T[], random: Random): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    [items[i], items[j]] = [items[j] as T, items[i] as T];
  }
  return items;
}

describe('cutting', () => {
  it('fits, and comes together in any order and with repetitions', () => {
    forSeeds(200, (random) => {
      const payload = random.bytes(2 + random.integer(5000));
      const least = 11 + Math.ceil(payload.length / 255);
      const maxDatagram = least + random.integer(1500);
      const pieces = cut(payload, maxDatagram);
      ensure(pieces.length >= 2 && pieces.length <= 255, 'as many as there may be');
      ensure(
        pieces.every(({ length }) => length > 11 && length <= maxDatagram),
        'each fits',
      );
      const reassembly = new Reassembly();
      const arriving = shuffled([...pieces, ...pieces.slice(0, 3)], random);
      const whole = arriving.map((piece) => feed(reassembly, piece)).filter((got) => got !== undefined);
      ensure(whole.length >= 1 && whole.every((got) => got.equals(payload)), 'the payload');
      reassembly.expire(1000);
      ensure(reassembly.held === 0, 'nothing is left');
    });
  });

  it('takes the longest payload at the shortest datagram that will do', () => {
    const payload = Buffer.alloc(MAX_PAYLOAD, 'x');
    const reassembly = new Reassembly();
    expect(cut(payload, 268)).toHaveLength(255);
    expect(Cutting.of(0, 1, 1, payload, 267)).toBeUndefined();
    expect(
      cut(payload, 268)
        .map((piece) => feed(reassembly, piece))
        .at(-1),
    ).toEqual(payload);
  });

  it('leaves alone what cannot be two', () => {
    expect(Cutting.of(0, 1, 1, Buffer.alloc(1), 11)).toBeUndefined();
    expect(Cutting.of(0, 1, 1, Buffer.alloc(0), 500)).toBeUndefined();
    expect(Cutting.of(0, 1, 1, Buffer.alloc(9), 0)).toBeUndefined();
  });
});

describe('reassembly', () => {
  it('does not mix packets, flows or ports', () => {
    const reassembly = new Reassembly();
    const [one, other] = [cut(Buffer.from('aabb'), 13), cut(Buffer.from('ccdd'), 13, 2)];
    const third = cut(Buffer.from('eeff'), 13, 1, 2);
    const inOrder = [one[0], other[0], third[0], other[1], one[1], third[1]] as Buffer[];
    expect(inOrder.map((piece) => String(feed(reassembly, piece)))).toEqual([
      ...['undefined', 'undefined', 'undefined', 'ccdd', 'aabb', 'eeff'],
    ]);
    feed(reassembly, one[0] as Buffer);
    const { fragment, payload } = decodeDatagram(one[1] as Buffer);
    expect(reassembly.receive(7, 1, fragment as Fragment, payload, 0)).toBeUndefined();
  });

  it('gives up after a second from the first fragment', () => {
    const reassembly = new Reassembly();
    const [first, second] = cut(Buffer.from('aabb'), 13) as [Buffer, Buffer];
    feed(reassembly, first, 0);
    expect(reassembly.timeout).toBe(1000);
    expect(String(feed(reassembly, second, 999))).toBe('aabb');
    feed(reassembly, first, 2000);
    expect(feed(reassembly, second, 3000)).toBeUndefined();
    expect(reassembly.incomplete).toBe(1);
    reassembly.expire(4000);
    expect([reassembly.held, reassembly.timeout, reassembly.incomplete]).toEqual([0, undefined, 2]);
  });

  it.each<[string, [index: number, count: number, length: number][]]>([
    [
      'another count',
      [
        [0, 3, 10],
        [1, 4, 10],
      ],
    ],
    [
      'another size',
      [
        [0, 3, 10],
        [1, 3, 11],
      ],
    ],
    [
      'a last one that is longer',
      [
        [0, 3, 10],
        [2, 3, 11],
      ],
    ],
    [
      'a last one that was longer',
      [
        [2, 3, 11],
        [0, 3, 10],
      ],
    ],
    [
      'the same again, but longer',
      [
        [0, 3, 10],
        [0, 3, 11],
      ],
    ],
    [
      'the last again, but shorter',
      [
        [2, 3, 10],
        [2, 3, 9],
      ],
    ],
    ['more than UDP has', [[0, 255, 258]]],
    [
      'more than UDP has, the last one first',
      [
        [1, 2, 40_000],
        [0, 2, 40_000],
      ],
    ],
  ])('gives up all at %s', (_, fragments) => {
    const reassembly = new Reassembly();
    const receive = ([index, count, length]: [number, number, number]) =>
      reassembly.receive(0, 1, { packet: 5, index, count }, Buffer.alloc(length), 0);
    for (const fragment of fragments.slice(0, -1)) expect(receive(fragment)).toBeUndefined();
    expect(() => receive(fragments.at(-1) ?? [0, 0, 0])).toThrow(DatagramError);
    expect([reassembly.held, reassembly.incomplete]).toEqual([0, 1]);
  });

  it('keeps no more than it may, and of a flow the newest', () => {
    const reassembly = new Reassembly(100_000);
    for (let packet = 0; packet < 100; packet++) {
      reassembly.receive(0, 1, { packet, index: 0, count: 10 }, Buffer.alloc(1000), 0);
      expect(reassembly.held).toBeLessThanOrEqual(100_000);
    }
    const rest = (packet: number) => {
      let whole: Buffer | undefined;
      for (let index = 1; index < 10; index++)
        whole = reassembly.receive(0, 1, { packet, index, count: 10 }, Buffer.alloc(1000), 0);
      return whole?.length;
    };
    expect(rest(99)).toBe(10_000);
    expect(rest(95)).toBe(10_000);
    expect(rest(0)).toBeUndefined();
  });

  it('lets no flow push out the others, however many packets it begins', () => {
    forSeeds(5, (random) => {
      const reassembly = new Reassembly(200_000);
      const payloads = Array.from({ length: 5 }, () => random.bytes(5000));
      const rest = payloads.map((payload, flow) => {
        const [first, ...rest] = cut(payload, 1200, 9, 100 + flow) as [Buffer, ...Buffer[]];
        feed(reassembly, first);
        return rest;
      });
      for (let i = 0; i < 1000; i++) {
        const count = 2 + random.integer(254);
        const fragment = { packet: i, index: random.integer(count), count };
        reassembly.receive(0, 1, fragment, Buffer.alloc(1 + random.integer(250)), 1);
        ensure(reassembly.held <= 200_000, 'bounded');
      }
      const whole = rest.map((pieces) => pieces.map((piece) => feed(reassembly, piece, 2)).at(-1));
      ensure(
        payloads.every((payload, i) => whole[i]?.equals(payload) === true),
        'all of the others came',
      );
    });
  });

  it('never makes up a payload of what a stranger changes', () => {
    forSeeds(1000, (random) => {
      const reassembly = new Reassembly(50_000);
      for (let i = 0; i < 20; i++) {
        const count = 2 + random.integer(3);
        const fragment = { packet: random.integer(2), index: random.integer(count), count };
        const before = reassembly.held;
        try {
          const whole = reassembly.receive(
            0,
            random.integer(2),
            fragment,
            random.bytes(1 + random.integer(3)),
            i,
          );
          ensure(whole === undefined || whole.length <= 12, 'no longer than its pieces');
        } catch (error) {
          if (!(error instanceof DatagramError)) throw error;
          ensure(reassembly.held <= before, 'given up');
        }
      }
      reassembly.expire(5000);
      ensure(reassembly.held === 0, 'nothing is left');
    });
  });
});
