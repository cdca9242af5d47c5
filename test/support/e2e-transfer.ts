import { createHash, randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { Listener, World } from './e2e.ts';

/** One random block, told apart from its copies by their number: a body that takes no memory and no time to make. */
const BLOCK = randomBytes(256 * 1024);

function nth(index: number): Buffer {
  const copy = Buffer.from(BLOCK);
  copy.writeUInt32BE(index);
  return copy;
}

/** Sends blocks until `enough` says so, then ends; resolves with how many bytes those were, and their SHA-256. */
async function pour(socket: Socket, enough: (blocks: number) => boolean): Promise<Poured> {
  const hash = createHash('sha256');
  let blocks = 0;
  for (; !enough(blocks); blocks++) {
    const block = nth(blocks);
    hash.update(block);
    if (!socket.write(block)) await room(socket);
    if (socket.destroyed) throw new Error('the connection was reset');
  }
  socket.end();
  return { bytes: blocks * BLOCK.length, sha256: hash.digest('hex') };
}

/** Resolves when the socket takes more, or nothing any more. */
function room(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}

/** Reads to the end. An iterator would close the other direction with it. */
function drain(socket: Socket): Promise<Poured> {
  const hash = createHash('sha256');
  let bytes = 0;
  return new Promise((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      bytes += chunk.length;
    });
    socket.once('end', () => resolve({ bytes, sha256: hash.digest('hex') }));
    socket.once('close', () => reject(new Error('the connection was reset')));
  });
}

export interface Poured {
  readonly bytes: number;
  readonly sha256: string;
}

export interface Transfer {
  readonly service: Listener;
  /** Connects to a tunnel's local port, and pours both ways at once. Rejects on a reset. */
  run(port: number): Promise<{ readonly sent: readonly Poured[]; readonly received: readonly Poured[] }>;
}

/** A service, and its client, that fill a connection both ways at once, until `enough`, called with the blocks (of 256 KiB) so far. */
export async function transfer(world: World, enough: (blocks: number) => boolean): Promise<Transfer> {
  let serve: (socket: Socket) => void = () => {};
  const service = await world.service((socket) => serve(socket));
  const run = async (port: number) => {
    const served = new Promise<Socket>((resolve) => {
      serve = resolve;
    });
    const near = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    world.onEnd(() => near.destroy());
    near.on('error', () => near.destroy());
    const both = async (socket: Socket) => Promise.all([pour(socket, enough), drain(socket)]);
    const [[up, down], [back, there]] = await Promise.all([both(near), served.then(both)]);
    return { sent: [up, back], received: [there, down] };
  };
  return { service, run };
}

export interface Download {
  readonly service: Listener;
  /** Bytes that have arrived so far. */
  readonly arrived: number;
  /** Connects to a tunnel's local port, and reads to the end. Rejects on a reset. */
  run(port: number): Promise<{ readonly sent: Poured; readonly received: Poured }>;
}

/** A service that fills a connection until `enough`, called with the blocks (of 256 KiB) so far, and its client. */
export async function download(world: World, enough: (blocks: number) => boolean): Promise<Download> {
  let serve: (socket: Socket) => void = () => {};
  let arrived = 0;
  const service = await world.service((socket) => serve(socket));
  const run = async (port: number) => {
    const sent = new Promise<Poured>((resolve, reject) => {
      serve = (socket) => pour(socket, enough).then(resolve, reject);
    });
    const near = connect({ host: '127.0.0.1', port });
    world.onEnd(() => near.destroy());
    near.on('error', () => near.destroy());
    near.on('data', (chunk) => {
      arrived += chunk.length;
    });
    const [poured, drained] = await Promise.all([sent, drain(near)]);
    return { sent: poured, received: drained };
  };
  return {
    service,
    run,
    get arrived() {
      return arrived;
    },
  };
}

/** `mebibytes` of them. */
export function mebibytes(count: number): (blocks: number) => boolean {
  return (blocks) => blocks * BLOCK.length >= count * 2 ** 20;
}
