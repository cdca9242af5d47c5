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
