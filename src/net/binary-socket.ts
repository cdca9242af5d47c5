import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { Joiner } from './joiner.ts';

export interface BinarySocketHandler {
  onBytes(chunk: Buffer): void;
  /** The socket is gone, for whatever reason. Once. */
  onClose(): void;
}

const OPTIONS = { binary: true, compress: false } as const;

/** From here on, copying costs more than a message of its own. */
const LARGE = 32 * 1024;

/** A WebSocket as a pipe of bytes: message boundaries mean nothing, and a text message ends it. */
export class BinarySocket {
  readonly #socket: WebSocket;
  readonly #transport: Duplex;
  readonly #joiner = new Joiner();

  /** @param transport what the WebSocket runs on: corked, it takes several messages with one system call */
  constructor(socket: WebSocket, transport: Duplex, handler: BinarySocketHandler) {
    this.#socket = socket;
    this.#transport = transport;
    socket.on('message', (data: RawData, isBinary: boolean) => {
      if (isBinary) handler.onBytes(data as Buffer);
      else socket.close(1003);
    });
    socket.once('close', () => handler.onClose());
    // 'close' follows, and says all that matters here.
    socket.on('error', () => socket.terminate());
  }

  /**
   * Sends the buffers in order. Small neighbours share a message; a large one is a message of its own, not copied.
   * @param sent called once, when the last of them has been written or the socket is gone
   */
  send(buffers: Buffer[], sent: () => void): void {
    this.#transport.cork();
    let first = 0;
    for (let i = 0; i < buffers.length; i++) {
      const buffer = buffers[i] as Buffer;
      if (buffer.length < LARGE) continue;
      if (i > first) this.#sendMerged(buffers, first, i, undefined);
      first = i + 1;
      this.#socket.send(buffer, OPTIONS, first === buffers.length ? sent : undefined);
    }
    if (first < buffers.length) this.#sendMerged(buffers, first, buffers.length, sent);
    this.#transport.uncork();
  }

  close(): void {
    this.#socket.close(1000);
  }

  #sendMerged(buffers: Buffer[], from: number, to: number, sent: (() => void) | undefined): void {
    const { bytes, release } = this.#joiner.join(buffers, from, to);
    this.#socket.send(bytes, OPTIONS, () => {
      release();
      sent?.();
    });
  }
}
