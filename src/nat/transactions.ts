import type { Instant } from '../machine.ts';
import { type Endpoint, sameEndpoint } from '../net/endpoint.ts';
import { decodeStun, encodeStun, type StunMessage } from './stun.ts';

/** When a request is sent again, in milliseconds after the first time: gaps of 100, 200 and 400 (NAT probes cannot wait for RFC 8489's 500). */
const RETRANSMITS = [100, 300, 700] as const;

/** Requests under way at a time; a discovery with nine servers needs under a hundred. */
const MAX_TRANSACTIONS = 256;

/** A request to be sent from one of the owner's sockets. */
export interface StunRequest {
  readonly socket: number;
  readonly to: Endpoint;
  /** Where the answer has to come from; by default from where the request went. */
  readonly from?: Endpoint | undefined;
  readonly attributes?: Iterable<readonly [type: number, value: Buffer]>;
  /** When to give up. */
  readonly deadline: Instant;
}

/** What became of a request. `rtt` is from the first transmission, in milliseconds: an upper bound where one was lost. */
export interface StunAnswer {
  readonly message: StunMessage;
  readonly rtt: number;
}

/** A datagram to be sent. */
export interface Transmit {
  readonly socket: number;
  readonly to: Endpoint;
  readonly bytes: Buffer;
}

interface Transaction {
  readonly request: StunRequest;
  readonly bytes: Buffer;
  readonly startedAt: Instant;
  readonly settle: (answer: StunAnswer | undefined) => void;
  transmissions: number;
  wakeAt: Instant;
}

/**
 * STUN transactions over any number of sockets (RFC 8489 section 6.2.1): sends again what gets no answer, and believes only an
 * answer with the right id, on the right socket, from the right address. What is late, repeated or wrong is dropped.
 */
export class Transactions {
  readonly #random: (size: number) => Buffer;
  readonly #transactions = new Map<string, Transaction>();
  readonly #transmits: Transmit[] = [];

  /** @param random bytes from a CSPRNG */
  constructor(random: (size: number) => Buffer) {
    this.#random = random;
  }

  get size(): number {
    return this.#transactions.size;
  }

  /** `settle` is called once: with the answer, which may be an error response, or with undefined at the deadline. */
  start(request: StunRequest, settle: (answer: StunAnswer | undefined) => void, now: Instant): void {
    if (this.#transactions.size >= MAX_TRANSACTIONS) {
      settle(undefined);
      return;
    }
    const transactionId = this.#random(12);
    const { attributes = [] } = request;
    const bytes = encodeStun({ class: 'request', transactionId, attributes });
    const transaction = { request, bytes, startedAt: now, settle, transmissions: 0, wakeAt: now };
    this.#transactions.set(keyOf(transactionId), transaction);
    this.#transmit(transaction);
  }

  /** A datagram arrived. Returns whether it was the answer to a request. */
  receive(socket: number, from: Endpoint, bytes: Buffer, now: Instant): boolean {
    const message = decodeStun(bytes);
    if (message === undefined || (message.class !== 'success' && message.class !== 'error')) return false;
    const key = keyOf(message.transactionId);
    const transaction = this.#transactions.get(key);
    if (transaction === undefined) return false;
    const { request } = transaction;
    if (request.socket !== socket || !sameEndpoint(from, request.from ?? request.to)) return false;
    this.#transactions.delete(key);
    transaction.settle({ message, rtt: now - transaction.startedAt });
    return true;
  }

  /** Forgets everything; nobody is called. */
  clear(): void {
    this.#transactions.clear();
    this.#transmits.length = 0;
  }

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  pollTimeout(): Instant | undefined {
    let first: Instant | undefined;
    for (const { wakeAt } of this.#transactions.values()) {
      if (first === undefined || wakeAt < first) first = wakeAt;
    }
    return first;
  }

  handleTimeout(now: Instant): void {
    for (const [key, transaction] of [...this.#transactions]) {
      // Whoever was told of one may have ended the others.
      if (now < transaction.wakeAt || !this.#transactions.has(key)) continue;
      if (now < transaction.request.deadline) {
        this.#transmit(transaction);
      } else {
        this.#transactions.delete(key);
        transaction.settle(undefined);
      }
    }
  }

  #transmit(transaction: Transaction): void {
    const { request, bytes, startedAt } = transaction;
    this.#transmits.push({ socket: request.socket, to: request.to, bytes });
    const next = RETRANSMITS[transaction.transmissions++];
    transaction.wakeAt = Math.min(next === undefined ? request.deadline : startedAt + next, request.deadline);
  }
}

function keyOf(transactionId: Buffer): string {
  return transactionId.toString('latin1');
}
