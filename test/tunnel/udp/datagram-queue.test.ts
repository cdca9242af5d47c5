import { describe, expect, it } from 'vitest';
import { type Datagram, decodeDatagram, encodeWhole } from '../../../src/tunnel/udp/datagram-frame.ts';
import { DatagramQueue } from '../../../src/tunnel/udp/datagram-queue.ts';
import { ensure, forSeeds } from '../../support/seeds.ts';

const MTU = 1200;

function push(queue: DatagramQueue, flow: number, size: number, now = 0, mark = 0): void {
  queue.push(0, flow, encodeWhole(0, flow, Buffer.alloc(size, mark)), now);
}

function take(queue: DatagramQueue, now = 0, maxDatagram = MTU): Buffer | undefined {
  const datagram = queue.next(maxDatagram, now);
  if (datagram !== undefined) queue.taken();
  return datagram;
}

const flowOf = (datagram: Buffer | undefined) => datagram && decodeDatagram(datagram).flow;

describe('the queue', () => {
  it('offers the same again until it is taken', () => {
    const queue = new DatagramQueue();
    push(queue, 1, 10);
    const offered = queue.next(MTU, 0);
    expect(queue.next(MTU, 0)).toBe(offered);
    queue.taken();
    queue.taken();
    expect(queue.next(MTU, 0)).toBeUndefined();
    expect([queue.isEmpty, queue.held]).toEqual([true, 0]);
  });

  it('drops what is older than its age, not what is as old', () => {
    const queue = new DatagramQueue({ age: 100 });
    push(queue, 1, 10, 0);
    push(queue, 1, 20, 50);
    expect(take(queue, 101)).toHaveLength(27);
    push(queue, 1, 10, 200);
    expect(take(queue, 300)).toHaveLength(17);
    push(queue, 1, 10, 300);
    queue.expire(500);
    expect([queue.isEmpty, queue.held, queue.drops.old]).toEqual([true, 0, 2]);
  });

  it('lets flows take turns by bytes', () => {
    const queue = new DatagramQueue();
    for (let i = 0; i < 40; i++) push(queue, 1, 1193);
    for (let i = 0; i < 100; i++) push(queue, 2, 93);
    const bytes = [0, 0, 0];
    for (let i = 0; i < 60; i++) {
      const datagram = take(queue) as Buffer;
      bytes[flowOf(datagram) as number] = (bytes[flowOf(datagram) as number] ?? 0) + datagram.length;
    }
    expect(Math.abs((bytes[1] ?? 0) - (bytes[2] ?? 0))).toBeLessThanOrEqual(1500);
  });

  it('serves whoever comes after the turns of those who wait, and no later', () => {
    const queue = new DatagramQueue();
    for (let flow = 1; flow <= 10; flow++) for (let i = 0; i < 10; i++) push(queue, flow, 1193);
    take(queue);
    push(queue, 99, 64);
    const before = [];
    for (let flow = flowOf(take(queue)); flow !== 99; flow = flowOf(take(queue))) before.push(flow);
    expect(before.length).toBeLessThanOrEqual(11);
  });

  it('when full, drops the oldest of whoever has more than its share', () => {
    const queue = new DatagramQueue({ bytes: 10 * 1256 });
    for (let i = 0; i < 30; i++) push(queue, 1, 993, 0, i);
    push(queue, 2, 993, 0, 77);
    push(queue, 3, 993, 0, 88);
    expect(queue.held).toBe(10 * 1256);
    expect(queue.drops.full).toBe(22);
    const marks = [];
    for (let next = take(queue); next !== undefined; next = take(queue)) marks.push(next.at(-1));
    expect(marks).toContain(77);
    expect(marks).toContain(88);
    expect(marks.filter((mark) => mark !== 77 && mark !== 88)).toEqual([22, 23, 24, 25, 26, 27, 28, 29]);
  });

  it('keeps a large payload together, in pieces that fit, with others in between', () => {
    const queue = new DatagramQueue();
    push(queue, 1, 60_000);
    push(queue, 2, 64);
    const sent = [];
    for (let next = take(queue); next !== undefined; next = take(queue)) sent.push(decodeDatagram(next));
    expect(sent.findIndex(({ flow }) => flow === 2)).toBeLessThanOrEqual(2);
    const pieces = sent.filter(({ flow }) => flow === 1);
    expect(new Set(pieces.map(({ fragment }) => fragment?.packet)).size).toBe(1);
    expect(pieces.reduce((sum, { payload }) => sum + payload.length, 0)).toBe(60_000);
  });

  it('cuts anew for a carrier with shorter datagrams, as another packet', () => {
    const queue = new DatagramQueue();
    push(queue, 1, 3000);
    const first = decodeDatagram(take(queue) as Buffer);
    const pieces: Datagram[] = [];
    for (let next = take(queue, 0, 600); next !== undefined; next = take(queue, 0, 600))
      pieces.push(decodeDatagram(next));
    expect(pieces.every(({ fragment }) => fragment?.packet === pieces[0]?.fragment?.packet)).toBe(true);
    expect(pieces[0]?.fragment?.packet).not.toBe(first.fragment?.packet);
    expect(pieces.reduce((sum, { payload }) => sum + payload.length, 0)).toBe(3000);
  });

  it('goes on with a payload whose first pieces have gone, for as long as the peer waits', () => {
    const queue = new DatagramQueue();
    push(queue, 1, 3000);
    take(queue, 0);
    expect(take(queue, 900)).toBeDefined();
    expect(take(queue, 1001)).toBeUndefined();
    expect(queue.drops.old).toBe(1);
  });

  it('drops what no carrier could take', () => {
    const queue = new DatagramQueue();
    push(queue, 1, 60_000);
    push(queue, 1, 64);
    expect(take(queue, 0, 200)).toHaveLength(71);
    expect(queue.drops).toEqual({ old: 0, full: 0, large: 1 });
  });

  it('counts right, whatever happens', () => {
    forSeeds(300, (random) => {
      const limits = { bytes: 20_000 + random.integer(20_000), age: 100 };
      const queue = new DatagramQueue(limits);
      let [now, pushed, taken] = [0, 0, 0];
      const gone = () => queue.drops.old + queue.drops.full + queue.drops.large;
      for (let i = 0; i < 300; i++) {
        now += random.integer(10);
        if (random.integer(3) > 0) {
          push(queue, random.integer(8), random.integer(1193), now);
          pushed += 1;
        } else if (queue.next(MTU, now) !== undefined && random.integer(4) > 0) {
          queue.taken();
          taken += 1;
        }
        ensure(queue.held <= limits.bytes, 'bounded');
      }
      while (take(queue, now) !== undefined) taken += 1;
      ensure(queue.isEmpty && queue.held === 0, 'empty');
      ensure(taken + gone() === pushed, `${pushed} are ${taken} and ${gone()}`);
    });
  });
});

describe('a game at 64 Hz beside a flood', () => {
  /** A carrier of two datagrams a millisecond, and a flood of ten times as many, for two seconds. */
  function play(flooders: number, floodSize: number) {
    const queue = new DatagramQueue();
    const floods = Array.from({ length: flooders }, (_, i) => encodeWhole(0, 1 + i, Buffer.alloc(floodSize)));
    const delays: number[] = [];
    let sentAt = 0;
    let asked = 0;
    for (let now = 0; now < 2000; now++) {
      for (let i = 0; i < 20; i++) {
        const which = i % flooders;
        queue.push(0, 1 + which, floods[which] as Buffer, now);
      }
      if (now >= sentAt) {
        queue.push(0, 0, encodeWhole(0, 0, Buffer.from(String(now))), now);
        sentAt += 1000 / 64;
        asked += 1;
      }
      for (let i = 0; i < 2; i++) {
        const datagram = take(queue, now);
        if (datagram !== undefined && flowOf(datagram) === 0)
          delays.push(now - Number(decodeDatagram(datagram).payload));
      }
    }
    return { asked, delays: delays.sort((a, b) => a - b), drops: queue.drops };
  }

  it('loses nothing and waits for one turn of each other flow', () => {
    for (const flooders of [1, 4, 10]) {
      const { asked, delays, drops } = play(flooders, 1193);
      expect(delays).toHaveLength(asked);
      expect(delays.at(-1)).toBeLessThanOrEqual(flooders);
      expect(drops.full + drops.old).toBeGreaterThan(2000 * 17);
    }
  });

  it('is not behind a payload of 60 KiB', () => {
    const { asked, delays } = play(1, 60_000);
    expect(delays).toHaveLength(asked);
    expect(delays.at(-1)).toBeLessThanOrEqual(2);
  });
});
