import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Recorder } from '../support/mux-pair.ts';
import { againstHostile, datagramFrame } from '../support/quic-hostile.ts';
import { established, quiche, quicPair, until } from '../support/quic-pair.ts';
import { Random } from '../support/random.ts';

type Pair = Awaited<ReturnType<typeof established>>;

/** Sends as the link does: waits for room, and goes on from there. Returns how often it had to wait. */
function sendAll({ subscriber, events }: Pair, datagrams: Buffer[]): () => number {
  let waits = 0;
  let next = 0;
  const pump = () => {
    for (; next < datagrams.length; next++) {
      if (subscriber.sendDatagram(datagrams[next] as Buffer)) continue;
      waits += 1;
      return;
    }
  };
  events.subscriber.onDatagramRoom = pump;
  pump();
  return () => waits;
}

/** Begins a transfer from the subscriber that goes on and on, and waits for its first 4 MiB. */
async function bulk({ subscriber, events }: Pair): Promise<void> {
  const near = new Recorder(subscriber.open());
  const chunk = Buffer.alloc(64 * 1024);
  near.onDrain = () => {
    while (near.stream.write(Buffer.from(chunk)));
  };
  near.onDrain();
  await until(() => (events.publisher.streams[0]?.received ?? 0) > 4 * 1024 * 1024);
}

const numbered = (count: number, size: number) =>
  Array.from({ length: count }, (_, n) => {
    const datagram = Buffer.alloc(size, n);
    datagram.writeUInt32BE(n);
    return datagram;
  });
const numbersOf = (datagrams: readonly Buffer[]) => datagrams.map((datagram) => datagram.readUInt32BE());

describe.skipIf(quiche === undefined)('datagrams on a QUIC carrier', () => {
  it('keep their boundaries, both ways, from none to as many bytes as may be', async () => {
    const { subscriber, publisher, events } = await established();
    const random = new Random(1);
    expect(subscriber.maxDatagram).toBe(1306);
    const sizes = [0, 1, 7, 64, 1000, 1305, subscriber.maxDatagram, 3, 3];
    const datagrams = sizes.map((size) => random.bytes(size));
    for (const datagram of datagrams) {
      expect(subscriber.sendDatagram(Buffer.from(datagram))).toBe(true);
      expect(publisher.sendDatagram(Buffer.from(datagram))).toBe(true);
    }
    for (const { datagrams: received } of [events.publisher, events.subscriber]) {
      await until(() => received.length === datagrams.length);
      expect(received).toEqual(datagrams);
    }
    subscriber.close();
  });

  it('are lost when they are too large, and when there is nobody to send them', async () => {
    const pair = quicPair();
    const { subscriber, events } = pair;
    expect(subscriber.maxDatagram).toBe(0);
    expect(subscriber.sendDatagram(Buffer.from('too early'))).toBe(true);
    await pair.outcomes;
    expect(subscriber.sendDatagram(Buffer.alloc(subscriber.maxDatagram + 1))).toBe(true);
    subscriber.sendDatagram(Buffer.from('in time'));
    await until(() => events.publisher.datagrams.length > 0);
    expect(String(events.publisher.datagrams)).toBe('in time');
    subscriber.drop();
    expect(subscriber.maxDatagram).toBe(0);
    expect(subscriber.sendDatagram(Buffer.from('too late'))).toBe(true);
    expect(events.publisher.closes.concat(events.subscriber.closes)).toEqual([undefined]);
  });

  it('find room for a few at a time, and hear of room when there is', async () => {
    const pair = await established();
    const waits = sendAll(pair, numbered(5000, 100));
    const { datagrams } = pair.events.publisher;
    await until(() => datagrams.length === 5000);
    expect(numbersOf(datagrams)).toEqual(Array.from({ length: 5000 }, (_, n) => n));
    expect(waits()).toBeGreaterThan(50);
    pair.subscriber.close();
  });

  it('are neither repeated nor waited for when some are lost', async () => {
    const pair = await established({ weather: { delayMs: 5 } });
    pair.up.weather.lossPercent = 20;
    const { datagrams } = pair.events.publisher;
    for (let n = 0; n < 300; n++) {
      const [datagram] = numbered(1, 500);
      datagram?.writeUInt32BE(n);
      pair.subscriber.sendDatagram(datagram as Buffer);
      await sleep(1);
    }
    await sleep(100);
    const numbers = numbersOf(datagrams);
    expect(numbers.length).toBeGreaterThan(180);
    expect(numbers.length).toBeLessThan(290);
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    pair.subscriber.close();
  });

  it('do not wait behind a bulk transfer', async () => {
    const pair = await established({ weather: { delayMs: 10 } });
    const { subscriber, events } = pair;
    await bulk(pair);
    const before = events.publisher.streams[0]?.received ?? 0;
    subscriber.sendDatagram(Buffer.from('!'));
    await until(() => events.publisher.datagrams.length > 0);
    // What was in quiche and on its way: the window of the path, at most, and not what streams have queued.
    expect((events.publisher.streams[0]?.received ?? 0) - before).toBeLessThan(16 * 1024 * 1024);
    subscriber.close();
  });

  it('keep a bulk transfer to short turns, so that they have theirs, and only while they are in use', async () => {
    for (const [inUse, expected] of [
      [false, [17, 256]],
      [true, [2, 16]],
    ] as const) {
      const pair = await established({ weather: { delayMs: 2 } });
      const { subscriber, up } = pair;
      let [turn, longest] = [0, 0];
      up.weather.tamper = (packet) => {
        if (turn === 0) process.nextTick(() => (turn = 0));
        turn += 1;
        longest = Math.max(longest, turn);
        return [packet];
      };
      if (inUse) subscriber.sendDatagram(Buffer.from('!'));
      await bulk(pair);
      expect(longest).toBeGreaterThanOrEqual(expected[0]);
      expect(longest).toBeLessThanOrEqual(expected[1]);
      subscriber.close();
    }
  });

  it.concurrent('let it be known when the path dies, though no stream is open', async () => {
    const pair = await established({ weather: { delayMs: 20 } });
    const playing = setInterval(() => pair.subscriber.sendDatagram(Buffer.alloc(64)), 15);
    await until(() => pair.events.publisher.datagrams.length > 20);
    const diedAt = performance.now();
    for (const { weather } of [pair.up, pair.down]) weather.lossPercent = 100;
    const { subscriber, publisher } = pair.events;
    await until(() => subscriber.silences.length === 1 && publisher.silences.length === 1, 2000);
    expect(performance.now() - diedAt).toBeLessThan(1000);
    for (const { weather } of [pair.up, pair.down]) weather.lossPercent = 0;
    await until(() => subscriber.silences.length === 2 && publisher.silences.length === 2, 2000);
    clearInterval(playing);
    pair.subscriber.close();
  });
});

describe.skipIf(quiche === undefined)('the end of a QUIC carrier', () => {
  it.each([
    ['close', 'peer_left'],
    ['drop', 'peer_lost'],
  ] as const)('by %s is %s to the peer', async (how, code) => {
    const { subscriber, events } = await established();
    const near = new Recorder(subscriber.open());
    near.stream.write(Buffer.from('hello'));
    await until(() => events.publisher.streams.length === 1);
    subscriber[how]();
    subscriber.close();
    expect(events.subscriber.closes).toEqual([undefined]);
    await until(() => events.publisher.closes.length > 0, 500);
    expect(events.publisher.closes.map((error) => error?.code)).toEqual([code]);
    expect([near.events, events.publisher.streams[0]?.events]).toEqual([['reset'], ['reset']]);
  });
});

describe.skipIf(quiche === undefined).each(['subscriber', 'publisher'] as const)('a hostile %s', (role) => {
  it('sends datagrams that are cut off, and is gone', async () => {
    const { events, say } = await againstHostile(role);
    say(Buffer.concat([datagramFrame(Buffer.from('fine')), datagramFrame(Buffer.alloc(40)).subarray(0, 20)]));
    await until(() => events.closes.length === 1);
    expect(events.closes[0]?.code).toBe('protocol_error');
  });

  it('floods with small ones: all are delivered or dropped, a turn at a time', async () => {
    const { carrier, events, say } = await againstHostile(role);
    const packet = Buffer.concat(Array.from({ length: 300 }, () => datagramFrame(Buffer.of(7))));
    for (let n = 0; n < 200; n++) say(packet);
    await until(() => events.datagrams.length > 0);
    await sleep(50);
    // Two turns' worth: what quiche keeps for each is bounded.
    expect(events.datagrams.length).toBeLessThanOrEqual(2048);
    expect(events.closes).toEqual([]);
    carrier.drop();
  });

  it('hides a flood behind a small one each, and is stopped', async () => {
    const { events, say } = await againstHostile(role);
    const packet = Buffer.concat([datagramFrame(Buffer.of(7)), Buffer.alloc(1200)]);
    for (let n = 0; events.closes.length === 0; n++) {
      for (let i = 0; i < 50; i++) say(packet);
      if (n > 1000) throw new Error('never stopped');
      await sleep(0);
    }
    expect(events.closes[0]?.code).toBe('protocol_error');
  }, 30_000);

  it('goes while its datagrams are delivered: nothing comes after the end', async () => {
    const { carrier, events, say } = await againstHostile(role);
    events.onDatagram = (datagram) => {
      events.datagrams.push(datagram);
      carrier.drop();
    };
    say(Buffer.concat(Array.from({ length: 5 }, () => datagramFrame(Buffer.from('x')))));
    await until(() => events.closes.length === 1);
    await sleep(5);
    expect(events.datagrams).toHaveLength(1);
  });
});
