import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Quiche } from '../../src/quic/binding.ts';
import { Recorder } from '../support/mux-pair.ts';
import { againstHostile, varint } from '../support/quic-hostile.ts';
import { established, quiche, until } from '../support/quic-pair.ts';
import { Random } from '../support/random.ts';
import { mutate } from '../support/seeds.ts';

const frame = (type: number, ...fields: (number | bigint | Buffer)[]) =>
  Buffer.concat([
    Buffer.from([type]),
    ...fields.map((field) => (Buffer.isBuffer(field) ? field : varint(field))),
  ]);
const newId = (sequence: number, retirePriorTo: number, id: Buffer) =>
  frame(0x18, sequence, retirePriorTo, Buffer.from([id.length]), id, Buffer.alloc(16, sequence));
const id = (n: number) => Buffer.concat([Buffer.alloc(16, 9), Buffer.from(Uint32Array.of(n).buffer)]);

/** What is done, in frames, and who gets away with it: it is harmless, or nothing that we look at. */
const crimes: [string, Buffer[], ...('subscriber' | 'publisher')[]][] = [
  ['retires an id that was never given', [frame(0x19, 77)]],
  ['retires the id in use', [frame(0x19, 0)]],
  ['gives more ids than allowed', [newId(1, 0, id(1)), newId(2, 0, id(2)), newId(3, 0, id(3))]],
  ['retires ids before they exist', [newId(1, 9, id(1))]],
  ['gives one id twice', [newId(1, 0, id(1)), newId(2, 0, id(1))]],
  ['acknowledges what was never sent', [frame(0x02, 2n ** 61n, 0, 0, 2n ** 61n)], 'subscriber', 'publisher'],
  ['acknowledges below zero', [frame(0x02, 5, 0, 0, 9)]],
  ['acknowledges in broken ranges', [frame(0x02, 100, 0, 3, 1, 200, 1, 1, 1, 1, 1)]],
  ['answers a challenge that nobody made', [frame(0x1b, Buffer.alloc(8))], 'subscriber', 'publisher'],
  ['ends the handshake again', [frame(0x1e)], 'publisher'],
  ['speaks TLS again', [frame(0x06, 0, 4, Buffer.from([1, 0, 0, 0]))], 'publisher'],
  ['sends TLS far ahead', [frame(0x06, 2n ** 40n, 4, Buffer.alloc(4))], 'subscriber', 'publisher'],
  ['gives a token', [frame(0x07, 4, Buffer.alloc(4))], 'subscriber', 'publisher'],
  ['writes far beyond the window', [frame(0x0e, 0, 2n ** 61n, 1, Buffer.alloc(1))]],
  ['writes on a stream of ours', [frame(0x0a, 4001, 1, Buffer.alloc(1))]],
  [
    'writes on a stream without a way',
    [frame(0x0a, 15, 1, Buffer.alloc(1)), frame(0x0a, 14, 1, Buffer.alloc(1))],
  ],
  ['opens stream after stream', [frame(0x0a, 4_000_000, 1, Buffer.alloc(1))]],
  ['resets a stream', [frame(0x0a, 0, 1, Buffer.alloc(1)), frame(0x04, 0, 0, 1)]],
  ['stops a stream', [frame(0x0a, 0, 1, Buffer.alloc(1)), frame(0x05, 0, 0)], 'subscriber'],
  ['changes the size of a stream', [frame(0x0b, 0, 1, Buffer.alloc(1)), frame(0x0b, 0, 3, Buffer.alloc(3))]],
  ['ends a stream without an end', [frame(0x0b, 0, 0), frame(0x0b, 4, 1, Buffer.from([7]))]],
  ['ends the control stream', [frame(0x0b, 2, 0), frame(0x0b, 3, 0)]],
  ['allows too many streams', [frame(0x12, 2n ** 61n)]],
  ['sends a frame that does not exist', [Buffer.from([0x3f, 1, 2, 3])]],
  ['sends an empty packet', [Buffer.alloc(0)]],
];

describe.skipIf(quiche === undefined).each(['subscriber', 'publisher'] as const)('a hostile %s', (role) => {
  it.each(crimes)('%s: the carrier goes on, or ends with a code', async (_name, frames, ...harmless) => {
    const { carrier, events, say } = await againstHostile(role);
    for (const one of frames) say(one);
    await sleep(10);
    // A timer of a busy process is early: packets wait for their turn of the event loop.
    await turn();
    expect(events.closes.map((error) => error?.code)).toEqual(
      harmless.includes(role) ? [] : ['protocol_error'],
    );
    carrier.close();
    expect(events.closes).toHaveLength(1);
  });

  it('closes: it is gone', async () => {
    const { events, say } = await againstHostile(role);
    say(frame(0x1c, 7, 0, 0));
    await until(() => events.closes.length === 1);
    expect(events.closes[0]?.code).toBe('peer_lost');
  });

  it('says anything at all', async () => {
    const codes = new Set<string | undefined>();
    for (let seed = 1; seed <= 60; seed++) {
      const random = new Random(seed);
      const { carrier, events, say } = await againstHostile(role);
      if (role === 'publisher') carrier.open().write(Buffer.alloc(100_000));
      for (let i = 0; i < 20 && events.closes.length === 0; i++) {
        say(Buffer.concat(Array.from({ length: 1 + random.integer(4) }, () => randomFrame(random))));
        if (random.integer(2) === 0) await sleep(0);
      }
      carrier.close();
      expect(events.closes).toHaveLength(1);
      codes.add(events.closes[0]?.code);
    }
    expect(codes).toContain('protocol_error');
  });
});

describe.skipIf(quiche === undefined)('hostile packets from outside', () => {
  it('mutated, invented and repeated ones change nothing about a transfer', async () => {
    const random = new Random(7);
    const { subscriber, publisher, events, up, down } = await established();
    for (const { weather } of [up, down]) {
      weather.tamper = (packet) => {
        switch (random.integer(20)) {
          case 0:
            return [mutate(packet, random), packet];
          case 1:
            return [packet, Buffer.from(packet)];
          case 2:
            return [Buffer.concat([packet.subarray(0, 21), random.bytes(50)]), packet];
          default:
            return [packet];
        }
      };
    }
    const near = new Recorder(subscriber.open());
    const bytes = random.bytes(4 * 1024 * 1024);
    near.stream.write(Buffer.from(bytes));
    near.stream.end();
    await until(() => events.publisher.streams[0]?.events.includes('end') ?? false);
    expect(Buffer.concat(events.publisher.streams[0]?.chunks ?? []).equals(bytes)).toBe(true);
    expect(events.subscriber.closes.concat(events.publisher.closes)).toEqual([]);
    subscriber.close();
    publisher.close();
  });

  it('a flood of them is taken a little at a time, and what is too much is dropped', async () => {
    const random = new Random(8);
    const { native, taken } = counting(quiche as Quiche);
    const { subscriber, publisher, events, up } = await established({ native });
    const near = new Recorder(subscriber.open());
    near.stream.write(Buffer.from('hello'));
    // The flooder sees a packet, and knows our connection's id.
    let packet = Buffer.alloc(0);
    up.weather.tamper = (sent) => {
      packet = Buffer.from(sent);
      return [sent];
    };
    await until(() => packet.length > 0 && events.publisher.streams.length === 1);
    // Until what was to be acknowledged has been.
    await sleep(30);
    const forged = () => Buffer.concat([packet.subarray(0, 21), random.bytes(100)]);
    for (let i = 0; i < 5000; i++) publisher.receive(forged());
    const turns: number[] = [];
    for (let i = 0; i < 20; i++) {
      const before = taken();
      await turn();
      turns.push(taken() - before);
    }
    expect(Math.max(...turns)).toBeLessThanOrEqual(128);
    expect(turns.reduce((sum, one) => sum + one, 0)).toBe(1024);
    near.stream.write(Buffer.from('!'));
    await until(() => events.publisher.streams[0]?.text === 'hello!');
    expect(events.publisher.closes).toEqual([]);
    subscriber.close();
    publisher.close();
  });
});

/** The native library, and how many packets its servers were given. */
function counting(original: Quiche) {
  let count = 0;
  const accept: Quiche['Connection']['accept'] = (...args) => {
    const connection = original.Connection.accept(...args);
    const recv = connection.recv.bind(connection);
    connection.recv = (...packet) => {
      count += 1;
      return recv(...packet);
    };
    return connection;
  };
  const { connect } = original.Connection;
  return { native: { ...original, Connection: { connect, accept } }, taken: () => count };
}

describe.skipIf(quiche === undefined)('a peer that listens to nothing', () => {
  it.each<[string, (n: number) => Buffer]>([
    ['ids to retire', (n) => joined(25, (i) => newId(n * 25 + i + 1, n * 25 + i + 1, id(n * 25 + i + 1)))],
    ['challenges', (n) => joined(140, (i) => frame(0x1a, Buffer.from(Uint32Array.of(n, i).buffer)))],
    ['TLS', (n) => frame(0x06, 5000 + n * 1100, 1100, Buffer.alloc(1100))],
  ])(
    'is stopped when it floods us with %s, and memory is bounded',
    async (_name, make) => {
      const { carrier, events, say, stopListening } = await againstHostile('subscriber');
      stopListening();
      const before = process.memoryUsage().rss;
      for (let n = 0; events.closes.length === 0; n++) {
        for (let i = 0; i < 20; i++) say(make(n * 20 + i));
        if (n > 5000) throw new Error('never stopped');
        await turn();
      }
      expect(events.closes.map((error) => error?.code)).toEqual(['protocol_error']);
      expect(process.memoryUsage().rss - before).toBeLessThan(300 * 1024 * 1024);
      carrier.close();
    },
    30_000,
  );
});

const joined = (count: number, make: (i: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));

const TYPES = [
  0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x0a, 0x0e, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x18, 0x19, 0x1a,
  0x1b, 0x1e, 0x30, 0x31,
] as const;

/** A frame that exists, with small numbers that may mean something or huge ones that may break something. */
function randomFrame(random: Random): Buffer {
  const number = () =>
    varint(
      random.pick([0, 1, 2, 3, 4, 8, random.integer(40), random.integer(2000), 2n ** 32n, 2n ** 62n - 1n]),
    );
  const type = TYPES[random.integer(TYPES.length)] as number;
  if (type === 0x18) return newId(random.integer(6), random.integer(6), id(random.integer(9)));
  if (type === 0x02) {
    const ranges = random.integer(3);
    const gaps = joined(ranges * 2, () => varint(random.integer(5)));
    return frame(type, random.integer(60), number(), ranges, random.integer(10), gaps);
  }
  return frame(type, number(), number(), number(), random.bytes(random.integer(20)));
}
