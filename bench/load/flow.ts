import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';

const BLOCK = randomBytes(256 * 1024);

/** Bytes that have arrived, and when that was read: milliseconds of a clock that all processes share. */
export interface Reading {
  readonly bytes: number;
  readonly at: number;
}

/** Counts what arrives in this process. */
export class Meter {
  #bytes = 0;

  /** @param most stops reading after so many bytes */
  count(socket: Socket, most = Number.POSITIVE_INFINITY): void {
    let left = most;
    socket.on('data', (chunk) => {
      this.#bytes += chunk.length;
      left -= chunk.length;
      if (left <= 0) socket.pause();
    });
  }

  read(): Reading {
    return { bytes: this.#bytes, at: Number(process.hrtime.bigint()) / 1e6 };
  }
}

/** Writes as fast as the socket takes it. */
export function offer(socket: Socket, bytes = Number.POSITIVE_INFINITY): void {
  let left = bytes;
  const pump = () => {
    while (left > 0 && socket.writable) {
      left -= BLOCK.length;
      if (!socket.write(BLOCK)) return;
    }
  };
  socket.on('drain', pump);
  pump();
}

/** Between two writes of one who is paced, in milliseconds. */
const TICK = 2;
/** As much as may be made up for after a pause, in milliseconds. */
const MOST_LATE = 100;

/** Writes at a steady rate, in bytes per second, as long as the socket takes it. */
export function pace(socket: Socket, rate: number): void {
  let last = performance.now();
  let due = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    due += (Math.min(now - last, MOST_LATE) * rate) / 1000;
    last = now;
    if (socket.writableNeedDrain) due = 0;
    while (due >= 1) {
      const block = BLOCK.subarray(0, due);
      due -= block.length;
      socket.write(block);
    }
  }, TICK);
  socket.once('close', () => clearInterval(timer));
}
