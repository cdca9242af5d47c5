import { connect, type Socket } from 'node:net';
import { Random } from '../../../support/random.ts';
import { End } from './end.ts';
import { encodeOrder, GREETING_SIZE, type Order } from './order.ts';
import { tell } from './said.ts';

/** Pieces of a chat, in bytes. */
const SHORTEST_PIECE = 16;
const LONGEST_PIECE = 400;

/** The client's end of one connection. */
export class Caller {
  readonly order: Order;
  readonly end: End;
  readonly #socket: Socket;
  readonly #random: Random;
  readonly #onOver: (failed: boolean) => void;
  #greeting = Buffer.alloc(0);
  #greeted = false;
  #asked = false;

  constructor(port: number, order: Order, onOver: (failed: boolean) => void) {
    this.order = order;
    this.#random = new Random(order.seed);
    this.#onOver = onOver;
    this.#socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    this.end = new End(this.#socket, order.id, order.seed, 'client', {
      onReceived: () => undefined,
      onEnd: () => this.#missing(),
      onOver: (failed) => this.#onOver(failed),
    });
    this.#socket.on('data', (chunk) => this.#take(chunk));
    this.#socket.write(encodeOrder(order));
    if (order.style !== 'chat') this.end.rate = order.up;
    this.end.limit = order.style === 'message' ? order.length : Number.POSITIVE_INFINITY;
    tell({ event: 'opened', at: Date.now(), id: order.id, style: order.style });
  }

  /** Sends what is due. @param ms since the last time */
  tick(ms: number): void {
    const { end, order } = this;
    end.tick(ms);
    if (order.style === 'chat' && !this.#asked) {
      end.send(SHORTEST_PIECE + this.#random.integer(LONGEST_PIECE - SHORTEST_PIECE));
    }
    if (order.style === 'message' && end.sent === order.length) this.finish();
    // While a message goes up, it is the service who waits for bytes.
    end.pauses.due = order.style !== 'message' || !this.#greeted || this.#asked;
  }

  /** Sends no more, and waits for the rest. */
  finish(): void {
    if (this.#asked || (this.order.style === 'message' && this.end.sent < this.order.length)) return;
    this.#asked = true;
    this.end.end();
  }

  #take(chunk: Buffer): void {
    if (this.#greeted) {
      this.end.take(chunk);
      return;
    }
    this.#greeting = Buffer.concat([this.#greeting, chunk]);
    if (this.#greeting.length < GREETING_SIZE) return;
    const id = this.#greeting.readUInt32BE();
    if (id !== this.order.id) {
      this.end.fail(
        'corrupted',
        `the first bytes are ${this.#greeting.subarray(0, GREETING_SIZE).toString('hex')}`,
      );
      return;
    }
    this.#greeted = true;
    this.end.pauses.moved();
    const rest = this.#greeting.subarray(GREETING_SIZE);
    if (rest.length > 0) this.end.take(rest);
  }

  #missing(): string | undefined {
    const { style, length } = this.order;
    const { sent, received } = this.end;
    if (!this.#asked) return `the service ended by itself, at ${received}`;
    const expected = { bulk: received, chat: sent, message: length }[style];
    return received < expected ? `${received} of ${expected}` : undefined;
  }
}
