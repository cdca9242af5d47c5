import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';

export interface BinarySocketHandler {
  onBytes(chunk: Buffer): void;
  /** The socket is gone, for whatever reason. Once. */
  onClose(): void;
}

/** A WebSocket as a pipe of bytes: message boundaries mean nothing, and a text message ends it. */
export class BinarySocket {
  readonly #socket: WebSocket;
  readonly #transport: Duplex;

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

  /** Sends the buffers in order. Small neighbours share a message; a large one is a message of its own, not copied. */
  send(buffers: Buffer[], _size: number, sent: () => void): void {
    const messages = merge(buffers);
    const last = messages.length - 1;
    this.#transport.cork();
    for (const [index, message] of messages.entries()) {
      this.#socket.send(message, OPTIONS, index === last ? sent : undefined);
    }
    this.#transport.uncork();
  }

  close(): void {
    this.#socket.close(1000);
  }
}

const OPTIONS = { binary: true, compress: false } as const;

/** From here on, copying costs more than a message and its header. */
const LARGE = 32 * 1024;

function merge(buffers: Buffer[]): Buffer[] {
  const merged: Buffer[] = [];
  let small: Buffer[] = [];
  for (const buffer of buffers) {
    if (buffer.length < LARGE) small.push(buffer);
    else {
      if (small.length > 0) merged.push(Buffer.concat(small));
      merged.push(buffer);
      small = [];
    }
  }
  if (small.length > 0) merged.push(Buffer.concat(small));
  return merged;
}
