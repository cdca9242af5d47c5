import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { answer } from '../processes/rpc.ts';
import { echo, openConnection, type Place } from './echo.ts';
import { Meter, offer } from './flow.ts';
import { type Gap, GapRecorder } from './gaps.ts';
import { type Mode, OFFERED_TO_STALLED, READ_BEFORE_STALL } from './mode.ts';

// The application in front of the tunnel. All times are in milliseconds.

export interface Transfer extends Place {
  readonly mode: Exclude<Mode, 'echo'>;
  /** Whether its gaps are wanted. */
  readonly watch?: boolean;
}

export interface Repetition extends Place {
  readonly count: number;
}

const BETWEEN_ATTEMPTS = 10;
/** Modes in which everything that arrives is read. */
const COUNTED: ReadonlySet<Mode> = new Set(['down', 'both', 'paced down', 'slow down']);

const meter = new Meter();
const transfers = new Map<number, Socket>();
const recorders = new Map<number, GapRecorder>();
let lastTransfer = 0;

/** Starts to move bytes; what it returns can be stopped. */
function start({ mode, watch = false, ...place }: Transfer): number {
  const socket = openConnection(place, mode);
  if (COUNTED.has(mode)) meter.count(socket);
  if (mode === 'up' || mode === 'both') offer(socket);
  if (mode === 'stalled down') meter.count(socket, READ_BEFORE_STALL);
  if (mode === 'stalled up') offer(socket, OFFERED_TO_STALLED);
  lastTransfer += 1;
  transfers.set(lastTransfer, socket);
  if (watch) recorders.set(lastTransfer, new GapRecorder(socket));
  return lastTransfer;
}

/** The gaps of a transfer that was not stopped yet. */
function gaps(transfer: number): readonly Gap[] {
  return recorders.get(transfer)?.gaps ?? [];
}

async function stop(transfer: number): Promise<void> {
  const socket = transfers.get(transfer);
  transfers.delete(transfer);
  recorders.delete(transfer);
  if (socket === undefined || socket.closed) throw new Error('a transfer ended by itself');
  socket.resetAndDestroy();
  await once(socket, 'close');
}

/** Round trips of 64 bytes, one after the other, on one connection. */
async function roundTrips({ count, ...place }: Repetition): Promise<number[]> {
  const socket = openConnection(place, 'echo');
  const message = Buffer.alloc(64, 'x');
  const times: number[] = [];
  await echo(socket, message);
  while (times.length < count) {
    const began = performance.now();
    await echo(socket, message);
    times.push(performance.now() - began);
  }
  socket.end();
  await once(socket, 'close');
  return times;
}

/** Round trips of 64 bytes, one after the other, by UDP. */
async function datagrams({ host = '127.0.0.1', port, count }: Repetition): Promise<number[]> {
  const socket = createSocket('udp4');
  const message = Buffer.alloc(64, 'x');
  const times: number[] = [];
  await new Promise<void>((resolve) => socket.connect(port, host, resolve));
  while (times.length < count) {
    const began = performance.now();
    socket.send(message);
    await once(socket, 'message');
    times.push(performance.now() - began);
  }
  socket.close();
  return times;
}

/** Connections, one after the other: until one byte has come back. */
async function openings({ count, ...place }: Repetition): Promise<number[]> {
  const times: number[] = [];
  while (times.length < count) {
    const began = performance.now();
    const socket = openConnection(place, 'echo');
    await echo(socket, Buffer.of(1));
    times.push(performance.now() - began);
    socket.end();
    await once(socket, 'close');
  }
  return times;
}

/** A new connection every 10 ms, until a byte has come back on one of them: the time of a clock that all processes share. */
async function firstEcho(place: Place): Promise<number> {
  const attempts = new Set<Socket>();
  const attempt = (): Promise<void> => {
    const socket = openConnection(place, 'echo');
    attempts.add(socket);
    return echo(socket, Buffer.of(1));
  };
  const echoed = new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      attempt().then(
        () => {
          clearInterval(timer);
          resolve();
        },
        () => undefined,
      );
    }, BETWEEN_ATTEMPTS);
  });
  await echoed;
  const at = Date.now();
  for (const socket of attempts) socket.resetAndDestroy();
  return at;
}

/** Connections, all at once, each kept until every one has had its byte back: how long that took. */
async function burst({ count, ...place }: Repetition): Promise<number> {
  const began = performance.now();
  const sockets = Array.from({ length: count }, () => openConnection(place, 'echo'));
  await Promise.all(sockets.map((socket) => echo(socket, Buffer.of(1))));
  const took = performance.now() - began;
  await Promise.all(sockets.map((socket) => once(socket.end(), 'close')));
  return took;
}

const handlers = {
  start,
  stop,
  gaps,
  roundTrips,
  datagrams,
  openings,
  firstEcho,
  burst,
  received: () => meter.read(),
};
export type ClientHandlers = typeof handlers;
answer(handlers);
