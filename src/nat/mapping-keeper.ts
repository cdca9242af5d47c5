import type { Instant, Machine } from '../machine.ts';
import { type Endpoint, sameEndpoint } from '../net/endpoint.ts';
import type { SourceClaim } from './source-proofs.ts';
import { mappedAddress } from './stun-address.ts';
import { type StunAnswer, Transactions } from './transactions.ts';
import { claimOf, vouchingAttributes } from './vouching.ts';

/** Between two requests, in milliseconds: a NAT may forget what was quiet for 30 s. Not always the same, so that clients spread out. */
const INTERVAL = 20_000;
const MORE_AT_MOST = 5000;

/** How long one is answered, sent four times, in milliseconds. */
const PATIENCE = 3000;

/** How long a server may take to vouch for us, in milliseconds: somebody waits for it. */
const VOUCHING = 500;

/** So many requests in a row without an answer are no chance. */
const SILENT_AFTER = 3;

/** The one socket there is. */
const SOCKET = 0;

export interface MappingKeeperOptions {
  /** Who is asked: a STUN server. */
  readonly server: Endpoint;
  /** What the server has seen of the socket so far. */
  readonly reflexive: Endpoint;
  /** Bytes from a CSPRNG. */
  readonly randomBytes: (size: number) => Buffer;
}

export type MappingKeeperOutput =
  | { readonly type: 'send'; readonly to: Endpoint; readonly bytes: Buffer }
  /** The mapping is another one: the NAT has forgotten the old one, or the network is another. Once for each change. */
  | { readonly type: 'moved'; readonly reflexive: Endpoint }
  /** Nothing has answered for about a minute. Said again when that goes on for as long. */
  | { readonly type: 'silent' }
  /** What the server says of our address, or that it has said nothing in time: once for each `vouch`. */
  | { readonly type: 'vouched'; readonly claim: SourceClaim | undefined };

/** Keeps a socket's mapping at a STUN server alive with a Binding request (RFC 8489) every 20 to 25 s, and watches it. */
export class MappingKeeper implements Machine<MappingKeeperOutput> {
  readonly #options: MappingKeeperOptions;
  readonly #transactions: Transactions;
  readonly #events: MappingKeeperOutput[] = [];
  #reflexive: Endpoint;
  #unanswered = 0;
  #nextAt: Instant | undefined;

  constructor(options: MappingKeeperOptions) {
    this.#options = options;
    this.#reflexive = options.reflexive;
    this.#transactions = new Transactions(options.randomBytes);
  }

  /** The mapping has been used just now. */
  start(now: Instant): void {
    this.#nextAt = now + this.#pause();
  }

  /** Something speaks for another mapping: the server is asked at once. */
  doubt(now: Instant): void {
    if (this.#nextAt !== undefined) this.#nextAt = now;
  }

  /** Asks the server to vouch for our address. */
  vouch(voucher: Buffer, now: Instant): void {
    const attributes = vouchingAttributes(voucher);
    const request = { socket: SOCKET, to: this.#options.server, deadline: now + VOUCHING, attributes };
    const settle = (answer: StunAnswer | undefined) =>
      this.#events.push({ type: 'vouched', claim: claimOf(voucher, answer) });
    this.#transactions.start(request, settle, now);
  }

  /** A datagram arrived, which may be somebody else's. */
  receive(from: Endpoint, bytes: Buffer, now: Instant): void {
    this.#transactions.receive(SOCKET, from, bytes, now);
  }

  pollOutput(): MappingKeeperOutput | undefined {
    const transmit = this.#transactions.pollTransmit();
    if (transmit === undefined) return this.#events.shift();
    return { type: 'send', to: transmit.to, bytes: transmit.bytes };
  }

  pollTimeout(): Instant | undefined {
    const times = [this.#nextAt, this.#transactions.pollTimeout()].filter((at) => at !== undefined);
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  handleTimeout(now: Instant): void {
    this.#transactions.handleTimeout(now);
    if (this.#nextAt === undefined || now < this.#nextAt) return;
    this.#nextAt = now + this.#pause();
    const request = { socket: SOCKET, to: this.#options.server, deadline: now + PATIENCE };
    this.#transactions.start(request, (answer) => this.#conclude(answer), now);
  }

  #conclude(answer: StunAnswer | undefined): void {
    if (answer === undefined) {
      this.#unanswered++;
      if (this.#unanswered % SILENT_AFTER === 0) this.#events.push({ type: 'silent' });
      return;
    }
    this.#unanswered = 0;
    const seen = answer.message.class === 'success' ? mappedAddress(answer.message) : undefined;
    if (seen === undefined || sameEndpoint(seen, this.#reflexive)) return;
    this.#reflexive = seen;
    this.#events.push({ type: 'moved', reflexive: seen });
  }

  #pause(): number {
    const share = this.#options.randomBytes(2).readUInt16BE() / 0x10000;
    return INTERVAL + share * MORE_AT_MOST;
  }
}
