import type { Endpoint } from '../net/endpoint.ts';
import type { StunAnswer } from './transactions.ts';

/** The server that the finer tests ask: one of its endpoints, and those that differ from it where it has them (RFC 5780). */
export interface Reference {
  /** Its number in the order of trust. */
  readonly server: number;
  readonly primary: Endpoint;
  /** The same address, another port. */
  readonly otherPort: Endpoint | undefined;
  /** Another address and another port. */
  readonly otherBoth: Endpoint | undefined;
  /** To the primary endpoint and back, in milliseconds. */
  readonly rtt: number;
}

/** A socket of the discovery's own. */
export interface ProbeSocket {
  readonly id: number;
  readonly localPort: number;
}

export interface Question {
  readonly socket: ProbeSocket;
  readonly to: Endpoint;
  /** Asks for an answer from elsewhere (CHANGE-REQUEST, RFC 5780 section 7.2), and from where it is to come. */
  readonly from?: Endpoint | undefined;
  /** Shown to a server that gave it to us, which then vouches for the address that it sees. */
  readonly voucher?: Buffer | undefined;
  /** How long to wait for it, in milliseconds; without it, as long as there is time. */
  readonly patience?: number;
}

/** What a test of one behaviour may do. Its owner ends it when the discovery's time is up; nothing is called after that. */
export interface Prober {
  /** Fresh sockets, as many as could be bound. */
  open(count: number, use: (sockets: readonly ProbeSocket[]) => void): void;
  /** A Binding request, sent again until it is answered or out of time. */
  ask(question: Question, settle: (answer: StunAnswer | undefined) => void): void;
  /** One Binding request without an answer to wait for. Returns its transaction id. */
  shout(socket: ProbeSocket, to: Endpoint, ttl?: number): Buffer;
  /** Calls back for every STUN request that reaches one of our sockets from outside. */
  overhear(listener: (socket: ProbeSocket, transactionId: Buffer) => void): void;
  after(milliseconds: number, run: () => void): void;
}

/** Long enough for three transmissions, and for the last of them to come back. */
export function patienceFor({ rtt }: Reference): number {
  return Math.min(400 + 2 * rtt, 900);
}

/** Long enough for the answer to something that is asked several times, so that losing it once does no harm. */
export function promptnessFor({ rtt }: Reference): number {
  return Math.max(60, 2 * rtt + 10);
}
