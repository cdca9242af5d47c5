import { expect, it } from 'vitest';
import type { QuicheConnection } from '../../src/quic/binding.ts';
import { Scheduler } from '../../src/quic/scheduler.ts';
import { QuicStream, type StreamHost } from '../../src/quic/stream.ts';

/** Stands in for quiche: what each stream and the whole connection have room for, and what they were given. */
function world(connectionRoom: number, streamRoom: Record<number, number>) {
  const room = { connection: connectionRoom, streams: streamRoom };
  const log: [id: number, size: number][] = [];
  const scheduler = new Scheduler();
  const host: StreamHost = {
    schedule: (stream) => scheduler.add(stream),
    read: () => {},
    wake: () => {},
    received: () => {},
    sent: () => {},
    closed: () => {},
    finished: () => {},
  };
  const native = {
    streamSend(id: number, bytes: Uint8Array): number | null {
      const taken = Math.min(bytes.length, room.connection, room.streams[id] ?? Number.POSITIVE_INFINITY);
      if (taken === 0) return null;
      room.connection -= taken;
      if (room.streams[id] !== undefined) room.streams[id] -= taken;
      log.push([id, taken]);
      return taken;
    },
    writable: () => (room.connection > 0 ? [0, 4, 8].filter((id) => (room.streams[id] ?? 1) > 0) : []),
  } as unknown as QuicheConnection;
  const streams = [0, 4, 8].map((id) => new QuicStream(host, id));
  return { room, log, scheduler, native, streams };
}

const KIB = 1024;

it('lets streams take turns, within the limit', () => {
  const { scheduler, native, streams, log } = world(1000 * KIB, {});
  for (const stream of streams) stream.write(Buffer.alloc(80 * KIB));
  expect(scheduler.transmit(native, 160 * KIB)).toBe(true);
  const shares = [0, 4, 8].map((id) => Array.from({ length: 3 }, () => [id, 16 * KIB]));
  expect(log).toEqual([...shares.flat(), [0, 16 * KIB]]);
  expect(scheduler.transmit(native, 160 * KIB)).toBe(false);
  expect(log.reduce((sum, [, size]) => sum + size, 0)).toBe(240 * KIB);
});

it('passes over a stream whose window is closed, until it opens', () => {
  const { scheduler, native, streams, log, room } = world(1000 * KIB, { 0: 5 });
  for (const stream of streams) stream.write(Buffer.alloc(10 * KIB));
  expect(scheduler.transmit(native, 64 * KIB)).toBe(false);
  expect(log).toEqual([
    [0, 5],
    [4, 10 * KIB],
    [8, 10 * KIB],
  ]);
  expect(scheduler.transmit(native, 64 * KIB)).toBe(false);
  expect(log).toHaveLength(3);
  room.streams[0] = 1000 * KIB;
  scheduler.transmit(native, 64 * KIB);
  expect(log.at(-1)).toEqual([0, 10 * KIB - 5]);
});

it('stops where the connection has no room, and goes on with the stream that was cut short', () => {
  const { scheduler, native, streams, log, room } = world(10 * KIB, {});
  for (const stream of streams) stream.write(Buffer.alloc(16 * KIB));
  expect(scheduler.transmit(native, 64 * KIB)).toBe(false);
  expect(log).toEqual([[0, 10 * KIB]]);
  room.connection = 1000 * KIB;
  scheduler.transmit(native, 64 * KIB);
  expect(log.slice(1)).toEqual([
    [0, 6 * KIB],
    [4, 16 * KIB],
    [8, 16 * KIB],
  ]);
});

it('does not take a writer that writes again as soon as there is room for one that has none', () => {
  const { scheduler, native, streams, log } = world(1000 * KIB, {});
  const [stream] = streams as [QuicStream, ...QuicStream[]];
  const write = () => stream.write(Buffer.alloc(88 * KIB));
  stream.attach({ onData: () => {}, onEnd: () => {}, onReset: () => {}, onDrain: write });
  write();
  expect(scheduler.transmit(native, 512 * KIB)).toBe(true);
  expect(log.reduce((sum, [, size]) => sum + size, 0)).toBe(512 * KIB);
});
