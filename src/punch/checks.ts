import type { Instant } from '../machine.ts';
import type { Endpoint } from '../net/endpoint.ts';
import { otherRole, type PunchKeys, type Role } from './keys.ts';
import { Pair } from './pair.ts';
import { type Nomination, openProbe, type Probe, type Sender, sealProbe } from './probe.ts';
import { ProbeBudget } from './probe-budget.ts';
import { Proven } from './proven.ts';
import { type Question, Questions } from './questions.ts';
import type { Remote, Remotes } from './remotes.ts';
import { ReplayGuard } from './replay-guard.ts';

/** A datagram to be sent; `ttl` is its IP TTL, the usual one where it has none. */
export interface ProbePacket {
  readonly socket: number;
  readonly to: Endpoint;
  readonly bytes: Buffer;
  readonly ttl?: number;
}

export interface ChecksOptions {
  /** Ours. */
  readonly role: Role;
  /** The link's id, 16 bytes. */
  readonly link: Buffer;
  readonly keys: PunchKeys;
  /** Bytes from a CSPRNG. */
  readonly randomBytes: (size: number) => Buffer;
  /** What all searches of a link have together; by default one of its own. */
  readonly budget?: ProbeBudget | undefined;
}

interface ProbeManner {
  readonly ttl?: number;
  readonly nomination?: Nomination | undefined;
  /** A probe of the peer's has just come from there. */
  readonly isReply?: boolean;
}

export interface ChecksListener {
  send(packet: ProbePacket): void;
  /** A probe of ours was answered. */
  onAnswer(pair: Pair, question: Question, answer: Probe, now: Instant): void;
  /** The peer has asked for this pair to be used. Whether it is. */
  onNomination(pair: Pair, nomination: Nomination, now: Instant): boolean;
}

/** Paths tried at a time; all of the peer's addresses from two sockets are fewer. */
const MAX_PAIRS = 64;

/** Asks, answers, and keeps the pairs that came of it. Strangers hear nothing. */
export class Checks {
  readonly #random: (size: number) => Buffer;
  readonly #own: Sender;
  readonly #peer: Sender;
  readonly #remotes: Remotes;
  readonly #budget: ProbeBudget;
  readonly #listener: ChecksListener;
  readonly #questions = new Questions();
  readonly #replays = new ReplayGuard();
  readonly #proven = new Proven();
  readonly #pairs = new Map<string, Pair>();

  constructor(options: ChecksOptions, remotes: Remotes, listener: ChecksListener) {
    const { role, link, keys } = options;
    const peer = otherRole(role);
    this.#random = options.randomBytes;
    this.#own = { link, role, key: keys[role] };
    this.#peer = { link, role: peer, key: keys[peer] };
    this.#remotes = remotes;
    this.#budget = options.budget ?? new ProbeBudget();
    this.#listener = listener;
  }

  get pairs(): readonly Pair[] {
    return [...this.#pairs.values()];
  }

  /** The pair of these two; undefined where there are too many. */
  pair(socket: number, remote: Remote): Pair | undefined {
    const key = `${socket} ${remote.address} ${remote.port}`;
    const known = this.#pairs.get(key);
    if (known || this.#pairs.size >= MAX_PAIRS) return known;
    const pair = new Pair(socket, remote);
    this.#pairs.set(key, pair);
    return pair;
  }

  /** Forgets all pairs, as before another way of trying. */
  clear(): void {
    this.#pairs.clear();
  }

  isProven(socket: number, from: Endpoint, now: Instant): boolean {
    return this.#proven.has(socket, from, now);
  }

  /**
   * One probe. Its answer makes a pair where there is none. Nothing is sent where there has been enough of it: what is at an address at
   * which our own server has seen the peer is nobody else's, and has no limit but that of its round.
   */
  ask(socket: number, to: Endpoint, now: Instant, manner: ProbeManner = {}): void {
    const { ttl, nomination, isReply = false } = manner;
    if (!this.#remotes.isVouched(to.address) && !this.#budget.take(to, isReply, now)) return;
    const transactionId = this.#random(12);
    this.#questions.add(transactionId, { socket, to, nomination, sentAt: now });
    const bytes = sealProbe({ transactionId, nomination }, this.#own);
    this.#listener.send({ socket, to, bytes, ...(ttl === undefined ? {} : { ttl }) });
  }

  /** A datagram arrived. Whether it was a probe of the peer's. */
  receive(socket: number, from: Endpoint, bytes: Buffer, now: Instant): boolean {
    const probe = openProbe(bytes, this.#peer);
    if (probe === undefined) return false;
    if (probe.seen) this.#answered(socket, from, { ...probe, seen: probe.seen }, now);
    else this.#asked(socket, from, probe, now);
    return true;
  }

  /** When the next probe of a pair is due. */
  pollTimeout(): Instant | undefined {
    let first: Instant | undefined;
    for (const { nextAt } of this.#pairs.values()) {
      if (nextAt !== undefined && (first === undefined || nextAt < first)) first = nextAt;
    }
    return first;
  }

  handleTimeout(now: Instant): void {
    for (const pair of this.#pairs.values()) {
      if (pair.nextAt === undefined || pair.nextAt > now) continue;
      pair.sent();
      this.ask(pair.socket, pair.remote, now);
    }
  }

  #asked(socket: number, from: Endpoint, { transactionId, nomination }: Probe, now: Instant): void {
    if (!this.#replays.admits(transactionId, socket, from)) return;
    const remote = this.#remotes.learn(from);
    const pair = remote && this.pair(socket, remote);
    if (pair === undefined) return;
    const accepted =
      nomination && this.#listener.onNomination(pair, nomination, now) ? nomination : undefined;
    const answer = { transactionId, nomination: accepted, seen: from };
    this.#listener.send({ socket, to: from, bytes: sealProbe(answer, this.#own) });
    // Where the peer's NAT gives it another port towards us, only its probe tells which: so the way back is tried now.
    if (pair.provoke(now, this.isProven(socket, from, now))) this.ask(socket, from, now, { isReply: true });
  }

  #answered(socket: number, from: Endpoint, answer: Probe & { readonly seen: Endpoint }, now: Instant): void {
    const question = this.#questions.take(answer.transactionId, socket, from, now);
    if (question === undefined) return;
    const remote = this.#remotes.learn(from);
    const pair = remote && this.pair(socket, remote);
    if (pair === undefined) return;
    this.#proven.add(socket, from, now);
    this.#budget.answered(from);
    pair.answered(now - question.sentAt, answer.seen);
    this.#listener.onAnswer(pair, question, answer, now);
  }
}
