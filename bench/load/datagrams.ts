import { createSocket, type RemoteInfo } from 'node:dgram';
import { answer } from '../processes/rpc.ts';
import { atRate } from './pace.ts';

// One end of UDP: an application in front of a tunnel, or the service behind it. Times are in milliseconds.

/** Some datagrams at a rate, all of one run. */
export interface Offer {
  /** Told apart from what is still on the way from others. */
  readonly run: number;
  /** Datagrams per second. */
  readonly rate: number;
  readonly duration: number;
  readonly size: number;
}

/** What has arrived of one run. */
export interface Arrived {
  readonly count: number;
  /** From the first to the last. */
  readonly took: number;
}

export interface Beat {
  readonly hz: number;
  readonly duration: number;
  readonly size: number;
}

export interface Beaten {
  /** Round trips, of those that came back. */
  readonly times: readonly number[];
  readonly lost: number;
}

const HOST = '127.0.0.1';
/** What the system lets us have: whoever counts must not lose anything himself. */
const RECEIVE_BUFFER = 4 * 1024 * 1024;
/** How long the last answer is waited for. */
const PATIENCE = 1000;

const socket = createSocket({
  type: 'udp4',
  lookup: (address, _options, callback) => callback(null, address, 4),
});
let arrived = { run: 0, count: 0, first: 0, last: 0 };
let echoing = false;
/** Whom to send to: the tunnel, or whoever has spoken last. */
let peer: Pick<RemoteInfo, 'address' | 'port'> = { address: HOST, port: 0 };
let onAnswer: ((message: Buffer) => void) | undefined;

socket.on('message', (message, sender) => {
  peer = sender;
  if (echoing) socket.send(message, sender.port, sender.address);
  else if (onAnswer !== undefined) onAnswer(message);
  else count(message);
});

function count(message: Buffer): void {
  const run = message.readUInt32BE(0);
  const now = performance.now();
  if (run > arrived.run) arrived = { run, count: 0, first: now, last: now };
  if (run < arrived.run) return;
  arrived.count += 1;
  arrived.last = now;
}

const send = (message: Buffer) => socket.send(message, peer.port, peer.address);

const handlers = {
  /** Returns the port. An end that echoes does nothing else. */
  open: ({ port = 0, echo = false }: { port?: number; echo?: boolean }) => {
    echoing = echo;
    return new Promise<number>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: HOST, port }, () => {
        socket.setRecvBufferSize(RECEIVE_BUFFER);
        resolve(socket.address().port);
      });
    });
  },
  aim: (port: number) => {
    peer = { address: HOST, port };
  },
  /** Returns how many were sent. */
  offer: ({ run, rate, duration, size }: Offer) => {
    const message = Buffer.alloc(size, 'x');
    message.writeUInt32BE(run);
    return atRate(rate, duration, () => send(message));
  },
  arrived: (run: number): Arrived => {
    if (run !== arrived.run) return { count: 0, took: 0 };
    return { count: arrived.count, took: arrived.last - arrived.first };
  },
  /** Round trips at a steady rate, as a game makes them, whether or not the one before is back. */
  beat: ({ hz, duration, size }: Beat) => beat(hz, duration, size),
};
export type DatagramsHandlers = typeof handlers;
answer(handlers);

async function beat(hz: number, duration: number, size: number): Promise<Beaten> {
  const sent: number[] = [];
  const times: number[] = [];
  const total = Math.floor((duration * hz) / 1000);
  const began = performance.now();
  await new Promise<void>((resolve) => {
    const end = setTimeout(resolve, duration + PATIENCE);
    onAnswer = (message) => {
      const number = message.readUInt32BE(0);
      const at = sent[number];
      if (at === undefined) return;
      times.push(performance.now() - at);
      delete sent[number];
      if (times.length < total) return;
      clearTimeout(end);
      resolve();
    };
    const next = (number: number) => {
      const message = Buffer.alloc(size, 'x');
      message.writeUInt32BE(number);
      sent[number] = performance.now();
      send(message);
      if (number + 1 === total) return;
      const due = began + ((number + 1) * 1000) / hz;
      setTimeout(() => next(number + 1), Math.max(0, due - performance.now()));
    };
    next(0);
  });
  onAnswer = undefined;
  return { times, lost: total - times.length };
}
