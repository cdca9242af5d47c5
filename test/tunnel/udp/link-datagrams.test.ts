import { describe, expect, it } from 'vitest';
import { DatagramCarrier, datagramPair } from '../../support/datagram-pair.ts';
import { Random } from '../../support/random.ts';
import { ensure, forSeeds, mutate } from '../../support/seeds.ts';

describe('datagrams of a link', () => {
  it('go to the carrier at once, whole, both ways', () => {
    const { near, far, carrier, runtime } = datagramPair(new Random(1));
    near.datagrams.use(carrier());
    far.datagrams.use(carrier({}, [far, near]));
    near.datagrams.send(3, 0xffff_ffff, Buffer.from('ping'));
    far.datagrams.send(3, 0xffff_ffff, Buffer.alloc(0));
    runtime.advance(0);
    expect(far.received).toEqual([{ port: 3, flow: 0xffff_ffff, payload: Buffer.from('ping') }]);
    expect(near.received).toEqual([{ port: 3, flow: 0xffff_ffff, payload: Buffer.alloc(0) }]);
    expect(runtime.pendingTimers).toBe(0);
  });

  it.each([300, 1200, 65_535])(
    'have any size that UDP allows where a carrier takes %i bytes',
    (maxDatagram) => {
      const { near, far, carrier, runtime } = datagramPair(new Random(1));
      near.datagrams.use(carrier({ maxDatagram, delay: 1 }));
      const sizes = [0, 1, maxDatagram - 8, maxDatagram - 7, maxDatagram - 6, 9000, 65_507].filter(
        (n) => n <= 65_507,
      );
      for (const size of sizes) {
        near.datagrams.send(0, size, Buffer.alloc(size, size));
        runtime.advance(1);
      }
      expect(far.received.map(({ payload }) => payload.length)).toEqual(sizes);
      for (const { payload, flow } of far.received)
        expect(payload.equals(Buffer.alloc(flow, flow))).toBe(true);
      near.datagrams.send(0, 1, Buffer.alloc(65_508));
      expect(near.datagrams.counts).toMatchObject({ sent: sizes.length, dropped: 1 });
    },
  );

  it('wait a little for a carrier, and for one that takes none yet', () => {
    const { near, far, carrier, runtime } = datagramPair(new Random(1));
    const late = carrier({ maxDatagram: 0 });
    near.datagrams.send(0, 1, Buffer.from('too old'));
    runtime.advance(151);
    near.datagrams.send(0, 1, Buffer.from('first'));
    near.datagrams.use(late);
    expect(late.sent).toBe(0);
    late.road.maxDatagram = 1200;
    near.datagrams.onRoom();
    late.road.maxDatagram = 0;
    near.datagrams.send(0, 1, Buffer.from('second'));
    late.road.maxDatagram = 1200;
    near.datagrams.send(0, 1, Buffer.from('third'));
    runtime.advance(0);
    expect(far.received.map(({ payload }) => String(payload))).toEqual(['first', 'second', 'third']);
    expect(near.datagrams.counts.dropped).toBe(1);
  });

  it('move to another carrier, the refused one first', () => {
    const { near, far, carrier, runtime } = datagramPair(new Random(1));
    near.datagrams.use(carrier({ burst: 1 }));
    for (const text of ['a', 'b', 'c']) near.datagrams.send(0, 1, Buffer.from(text));
    near.datagrams.use(carrier());
    runtime.advance(0);
    expect(far.received.map(({ payload }) => String(payload))).toEqual(['a', 'b', 'c']);
    // The first carrier's room is of no interest any more, and does no harm.
    runtime.advance(5);
    expect(far.received).toHaveLength(3);
  });

  it('are no longer sent or delivered after close, and leave no timer', () => {
    const { near, far, carrier, runtime } = datagramPair(new Random(1));
    near.datagrams.use(carrier({ maxDatagram: 300, loss: 0.5 }));
    for (let i = 0; i < 10; i++) near.datagrams.send(0, 1, Buffer.alloc(3000));
    runtime.advance(0);
    near.datagrams.send(0, 1, Buffer.alloc(10));
    near.datagrams.close();
    far.datagrams.close();
    const { length } = far.received;
    near.datagrams.send(0, 1, Buffer.alloc(10));
    runtime.advance(0);
    expect(far.received).toHaveLength(length);
    expect(runtime.pendingTimers).toBe(0);
  });

  it('survive a carrier that ends while it is given one', () => {
    const { near, far, carrier, runtime } = datagramPair(new Random(1));
    const second = carrier();
    class Ending extends DatagramCarrier {
      override sendDatagram(): boolean {
        near.datagrams.use(second);
        return false;
      }
    }
    near.datagrams.use(new Ending(near.datagrams, far.datagrams, runtime, new Random(1), second.road));
    near.datagrams.send(0, 1, Buffer.from('a'));
    near.datagrams.send(0, 1, Buffer.from('b'));
    runtime.advance(0);
    expect(far.received.map(({ payload }) => String(payload)).sort()).toEqual(['a', 'b']);
  });

  it('give back the memory of what nobody asks for', () => {
    const { near, far, carrier, runtime } = datagramPair(new Random(1));
    near.datagrams.use(carrier({ burst: 2 }));
    near.datagrams.send(0, 1, Buffer.alloc(50_000));
    near.datagrams.use(undefined);
    runtime.advance(3000);
    expect(runtime.pendingTimers).toBe(0);
    expect(near.datagrams.counts.dropped).toBe(1);
    expect(far.datagrams.counts.incomplete).toBe(1);
  });

  it('are counted when they are none, and hurt nobody', () => {
    forSeeds(300, (random) => {
      const { near, far, carrier, runtime } = datagramPair(random);
      const way = carrier({ maxDatagram: 400 });
      const send = way.sendDatagram.bind(way);
      way.sendDatagram = (datagram) =>
        send(random.integer(3) === 0 ? mutate(datagram, random).subarray(0, 400) : datagram);
      near.datagrams.use(way);
      for (let i = 0; i < 20; i++)
        near.datagrams.send(0, random.integer(4), random.bytes(random.integer(1500)));
      runtime.advance(5000);
      ensure(runtime.pendingTimers === 0, 'nothing is waited for');
      ensure(far.datagrams.counts.received <= 80, 'nothing is made up');
    });
  });

  it('arrive whole or not at all, each once, over carriers that lose, reorder, refuse and change', () => {
    forSeeds(100, (random) => {
      const { near, far, carrier, runtime } = datagramPair(random);
      const sent: string[] = [];
      for (let i = 0; i < 200; i++) {
        if (i % 20 === 0) {
          const road = {
            maxDatagram: random.pick([0, 300, 1200, 1400, 65_535]),
            loss: random.pick([0, 0.05, 0.3]),
            delay: random.integer(30),
            burst: random.pick([1, 5, 100]),
          };
          near.datagrams.use(random.integer(8) === 0 ? undefined : carrier(road));
        }
        const size = random.integer(random.pick([20, 1500, 20_000]));
        const payload = random.bytes(Math.min(size, 64));
        const whole = Buffer.concat([Buffer.from([i]), payload, Buffer.alloc(size - payload.length, i)]);
        const flow = random.integer(5);
        near.datagrams.send(1, flow, whole);
        sent.push(`${flow} ${whole.toString('latin1')}`);
        runtime.advance(random.integer(5));
      }
      runtime.advance(3000);
      const received = far.received.map(({ flow, payload }) => `${flow} ${payload.toString('latin1')}`);
      ensure(new Set(received).size === received.length, 'each once');
      const known = new Set(sent);
      ensure(
        received.every((one) => known.has(one)),
        'as it was sent',
      );
      ensure(received.length > 20, 'some arrive');
      ensure(runtime.pendingTimers === 0, 'nothing is waited for');
    });
  });
});
