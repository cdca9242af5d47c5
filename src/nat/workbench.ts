import type { Instant } from '../machine.ts';
import type { Endpoint } from '../net/endpoint.ts';
import type { Prober, ProbeSocket, Question } from './prober.ts';
import { ATTRIBUTE, decodeStun, encodeStun } from './stun.ts';
import { encodeChangeRequest } from './stun-address.ts';
import { type StunAnswer, Transactions } from './transactions.ts';
import { SOFTWARE, vouchingAttributes } from './vouching.ts';

/** What a discovery wants done with sockets. Datagrams of one socket leave in this order, and so do those of several. */
export type SocketOutput =
  /** Bind a fresh socket, then say `opened` or `failed`. */
  | { readonly type: 'open'; readonly socket: number; readonly family: 4 | 6 }
  | {
      readonly type: 'send';
      readonly socket: number;
      readonly to: Endpoint;
      readonly bytes: Buffer;
      readonly ttl?: number;
    };

interface Opening {
  readonly pending: Set<number>;
  readonly sockets: ProbeSocket[];
  readonly use: (sockets: readonly ProbeSocket[]) => void;
}

interface Appointment {
  readonly at: Instant;
  readonly run: () => void;
}

/** Sockets, transactions and a diary: what the tests of a discovery work with. */
export class Workbench implements Prober {
  readonly #random: (size: number) => Buffer;
  readonly #transactions: Transactions;
  readonly #outputs: SocketOutput[] = [];
  readonly #sockets = new Map<number, ProbeSocket>();
  readonly #listeners: ((socket: ProbeSocket, transactionId: Buffer) => void)[] = [];
  #openings: Opening[] = [];
  #diary: Appointment[] = [];
  #now: Instant = 0;
  #deadline: Instant = 0;
  #lastSocket = 0;

  constructor(random: (size: number) => Buffer) {
    this.#random = random;
    this.#transactions = new Transactions(random);
  }

  get now(): Instant {
    return this.#now;
  }

  /** Work may be done until the deadline. */
  begin(now: Instant, deadline: Instant): void {
    this.#now = now;
    this.#deadline = deadline;
  }

  /** Nothing is sent, and nobody called, from now on. */
  end(): void {
    this.#transactions.clear();
    this.#listeners.length = 0;
    this.#openings = [];
    this.#diary = [];
    this.#outputs.length = 0;
  }

  open(count: number, use: (sockets: readonly ProbeSocket[]) => void, family: 4 | 6 = 4): void {
    const opening: Opening = { pending: new Set(), sockets: [], use };
    this.#openings.push(opening);
    for (let i = 0; i < count; i++) {
      const socket = ++this.#lastSocket;
      opening.pending.add(socket);
      this.#outputs.push({ type: 'open', socket, family });
    }
  }

  ask(
    { socket, to, from, voucher, patience = Number.POSITIVE_INFINITY }: Question,
    settle: (answer: StunAnswer | undefined) => void,
  ): void {
    const elsewhere = from && { address: from.address !== to.address, port: from.port !== to.port };
    const attributes: (readonly [number, Buffer])[] = voucher ? [...vouchingAttributes(voucher)] : [];
    if (elsewhere) attributes.push([ATTRIBUTE.changeRequest, encodeChangeRequest(elsewhere)], SOFTWARE);
    const deadline = Math.min(this.#now + patience, this.#deadline);
    this.#transactions.start({ socket: socket.id, to, from, attributes, deadline }, settle, this.#now);
    this.#transmit();
  }

  shout(socket: ProbeSocket, to: Endpoint, ttl?: number): Buffer {
    const transactionId = this.#random(12);
    const bytes = encodeStun({ class: 'request', transactionId });
    this.#outputs.push({ type: 'send', socket: socket.id, to, bytes, ...(ttl === undefined ? {} : { ttl }) });
    return transactionId;
  }

  overhear(listener: (socket: ProbeSocket, transactionId: Buffer) => void): void {
    this.#listeners.push(listener);
  }

  after(milliseconds: number, run: () => void): void {
    this.#diary.push({ at: this.#now + milliseconds, run });
  }

  opened(socket: number, localPort: number, now: Instant): void {
    this.#bound(socket, { id: socket, localPort }, now);
  }

  failed(socket: number, now: Instant): void {
    this.#bound(socket, undefined, now);
  }

  receive(id: number, from: Endpoint, bytes: Buffer, now: Instant): void {
    this.#now = now;
    if (this.#transactions.receive(id, from, bytes, now)) return;
    const socket = this.#sockets.get(id);
    const message = this.#listeners.length > 0 ? decodeStun(bytes) : undefined;
    if (socket === undefined || message?.class !== 'request') return;
    for (const listener of [...this.#listeners]) listener(socket, message.transactionId);
  }

  pollOutput(): SocketOutput | undefined {
    return this.#outputs.shift();
  }

  pollTimeout(): Instant | undefined {
    const times = this.#diary.map(({ at }) => at);
    const transactions = this.#transactions.pollTimeout();
    if (transactions !== undefined) times.push(transactions);
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  handleTimeout(now: Instant): void {
    this.#now = now;
    this.#transactions.handleTimeout(now);
    this.#transmit();
    const isDue = ({ at }: Appointment) => at <= now;
    for (let due = this.#diary.find(isDue); due; due = this.#diary.find(isDue)) {
      this.#diary.splice(this.#diary.indexOf(due), 1);
      due.run();
    }
  }

  #bound(id: number, socket: ProbeSocket | undefined, now: Instant): void {
    this.#now = now;
    if (socket) this.#sockets.set(id, socket);
    const opening = this.#openings.find(({ pending }) => pending.delete(id));
    if (opening === undefined) return;
    if (socket) opening.sockets.push(socket);
    if (opening.pending.size > 0) return;
    this.#openings = this.#openings.filter((other) => other !== opening);
    opening.use(opening.sockets.sort((a, b) => a.id - b.id));
  }

  #transmit(): void {
    for (let next = this.#transactions.pollTransmit(); next; next = this.#transactions.pollTransmit()) {
      this.#outputs.push({ type: 'send', ...next });
    }
  }
}
