import type { Duplex } from 'node:stream';
import { Joiner } from '../net/joiner.ts';
import { encodeRecordHeader, RECORD_HEADER_SIZE, RecordError, RecordParser } from './datagram-record.ts';

/** Bytes on their way to the outer stream at which no more are taken: what waits there is not dropped when it gets old. */
const UNSENT_MARK = 16 * 1024;

export interface DatagramLaneHandler {
  onDatagram(datagram: Buffer): void;
  /** After `send` returned false: there is room again. */
  onRoom(): void;
  /** It is of no use any more. Once, also after `close`. */
  onClose(): void;
}

/** A link's datagrams, as records on an encrypted stream of their own. */
export class DatagramLane {
  readonly #socket: Duplex;
  readonly #handler: DatagramLaneHandler;
  readonly #joiner = new Joiner();
  readonly #parser = new RecordParser();
  #queue: Buffer[] = [];
  #unsent = 0;
  #writing = false;
  #refused = false;

  constructor(socket: Duplex, handler: DatagramLaneHandler) {
    this.#socket = socket;
    this.#handler = handler;
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.once('end', () => socket.destroy());
    socket.once('close', () => handler.onClose());
  }

  /** False: it was not taken. */
  send(datagram: Buffer): boolean {
    if (this.#socket.destroyed) return false;
    if (this.#unsent >= UNSENT_MARK) {
      this.#refused = true;
      return false;
    }
    this.#queue.push(encodeRecordHeader(datagram.length), datagram);
    this.#unsent += RECORD_HEADER_SIZE + datagram.length;
    this.#flush();
    return true;
  }

  close(): void {
    this.#socket.destroy();
  }

  /** What comes while a write is under way shares the next one. */
  #flush(): void {
    if (this.#writing || this.#queue.length === 0) return;
    this.#writing = true;
    const { bytes, release } = this.#joiner.join(this.#queue);
    this.#queue = [];
    this.#socket.write(bytes, () => {
      release();
      this.#writing = false;
      this.#unsent -= bytes.length;
      if (this.#socket.destroyed) return;
      this.#flush();
      if (!this.#refused || this.#unsent >= UNSENT_MARK) return;
      this.#refused = false;
      this.#handler.onRoom();
    });
  }

  #receive(chunk: Buffer): void {
    try {
      this.#parser.push(chunk, (datagram) => {
        if (!this.#socket.destroyed) this.#handler.onDatagram(datagram);
      });
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      this.#socket.destroy();
    }
  }
}
