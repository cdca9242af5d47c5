import type { Socket } from 'node:net';
import { End } from './end.ts';
import { decodeOrder, greeting, ORDER_SIZE, type Order } from './order.ts';
import { tell } from './said.ts';

/** The service's end of one connection. */
export class Answerer {
  readonly #socket: Socket;
  readonly #onOver: () => void;
  #first = Buffer.alloc(0);
  #order: Order | undefined;
  #end: End | undefined;
  #asked = false;

  constructor(socket: Socket, onOver: () => void) {
    this.#socket = socket;
    this.#onOver = onOver;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#take(chunk));
    // Until it is known which connection this is, the client's end tells what becomes of it.
    socket.on('error', () => socket.destroy());
    socket.on('end', () => {
      if (this.#end === undefined) socket.destroy();
    });
    socket.on('close', () => {
      if (this.#end === undefined) onOver();
    });
  }

  get end(): End | undefined {
    return this.#end;
  }

  /** Sends what is due. @param ms since the last time */
  tick(ms: number): void {
    this.#end?.tick(ms);
    this.#answer();
    this.#finish();
  }

  #take(chunk: Buffer): void {
    if (this.#end !== undefined) {
      this.#end.take(chunk);
      return;
    }
    this.#first = Buffer.concat([this.#first, chunk]);
    if (this.#first.length < ORDER_SIZE) return;
    const order = decodeOrder(this.#first);
    if (order === undefined) {
      const detail = `no order: ${this.#first.subarray(0, ORDER_SIZE).toString('hex')}`;
      tell({ event: 'failed', at: Date.now(), id: -1, what: 'corrupted', detail, sent: 0, received: 0 });
      this.#socket.destroy();
      return;
    }
    this.#begin(order, this.#first.subarray(ORDER_SIZE));
  }

  #begin(order: Order, rest: Buffer): void {
    const end = new End(this.#socket, order.id, order.seed, 'service', {
      onReceived: () => this.#answer(),
      onEnd: () => this.#onEnd(),
      onOver: () => this.#onOver(),
    });
    this.#order = order;
    this.#end = end;
    this.#socket.write(greeting(order.id));
    end.rate = order.down;
    if (order.style === 'bulk') end.limit = Number.POSITIVE_INFINITY;
    if (rest.length > 0) end.take(rest);
  }

  /** A chat's pieces are answered at once, where there is room. */
  #answer(): void {
    if (this.#order?.style !== 'chat' || this.#end === undefined) return;
    this.#end.limit = this.#end.received;
    this.#end.send(this.#end.received - this.#end.sent);
  }

  #onEnd(): string | undefined {
    const [order, end] = [this.#order, this.#end];
    if (order === undefined || end === undefined) return undefined;
    this.#asked = true;
    end.pauses.due = false;
    if (order.style === 'bulk') end.limit = end.sent;
    if (order.style === 'message') end.limit = order.length;
    this.#finish();
    const early = order.style === 'message' && end.received < order.length;
    return early ? `${end.received} of ${order.length}` : undefined;
  }

  /** Ends its direction once everything is sent that was asked for. */
  #finish(): void {
    const end = this.#end;
    if (!this.#asked || end === undefined) return;
    if (end.sent >= end.limit) end.end();
  }
}
