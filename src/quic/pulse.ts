import type { Instant } from '../machine.ts';

/** How long nothing may be heard while streams are open, before we ask, milliseconds. Twice as long after each mere answer. */
const FIRST_INTERVAL = 250;

/** How long an answer may take: three probe time-outs (RFC 9002 section 6.2), within these. */
const MIN_PATIENCE = 400;
const MAX_PATIENCE = 1500;

/** The peer may wait so long with its acknowledgement (RFC 9000 section 18.2). */
const MAX_ACK_DELAY = 25;

/** What is assumed until the round trip has been measured (RFC 9002 section 6.2.2). */
const UNKNOWN_RTT = 333;

/** A question is asked so many times within the time that the answer may take: some get lost. */
const ATTEMPTS = 8;

/** After that it is asked so often, in milliseconds: the path may come back. */
const WHILE_SILENT = 500;

/** The timer of a process that was busy rings before it has read what arrived meanwhile. So it looks twice, milliseconds apart. */
const SECOND_LOOK = 20;

interface Question {
  readonly patience: number;
  /** When it is silence; looked at twice. */
  verdictAt: Instant;
  doubted: boolean;
  /** When it is asked again. */
  repeatAt: Instant;
}

/**
 * Feels whether the peer is there. While streams are open a path that has died is noticed in less than a second; an idle
 * connection is asked for a sign of life now and then, and nothing follows from it.
 */
export class Pulse {
  readonly #keepalive: number;
  #watching = false;
  #interval: number;
  #quietSince: Instant;
  #question: Question | undefined;
  /** Nothing is heard, although streams are open and we have asked. */
  silent = false;

  /** @param keepalive milliseconds after which an idle connection asks */
  constructor(keepalive: number, now: Instant) {
    this.#keepalive = keepalive;
    this.#interval = keepalive;
    this.#quietSince = now;
  }

  /** When `poll` wants to be called. */
  get wakeAt(): Instant {
    if (this.#question === undefined) return this.#quietSince + this.#interval;
    const { verdictAt, repeatAt } = this.#question;
    return this.#judging ? Math.min(verdictAt, repeatAt) : repeatAt;
  }

  /** Whether streams are open. */
  watch(watching: boolean, now: Instant): void {
    this.#watching = watching;
    this.#interval = watching ? this.#firstInterval : this.#keepalive;
    // What was asked in silence is still asked: the path may come back when nobody uses it.
    if (this.silent) return;
    this.#question = undefined;
    this.#quietSince = now;
  }

  /** Something that is the peer's has arrived. */
  heard(at: Instant): void {
    if (this.#question !== undefined) this.#interval = Math.min(this.#interval * 2, this.#keepalive);
    this.#question = undefined;
    this.#quietSince = at;
    this.silent = false;
  }

  /** Streams have something to carry. Returns whether `wakeAt` may be earlier now. */
  carried(now: () => Instant): boolean {
    if (!this.#watching || this.#interval === this.#firstInterval) return false;
    this.#interval = this.#firstInterval;
    if (this.#question === undefined) this.#quietSince = now();
    return true;
  }

  /** Time has passed. True: ask now, by a packet that has to be acknowledged. */
  poll(now: Instant, rtt: () => number | undefined): boolean {
    if (this.#question === undefined) {
      if (now < this.#quietSince + this.#interval) return false;
      const patience = patienceFor(rtt());
      this.#question = { patience, verdictAt: now + patience, doubted: false, repeatAt: now };
    }
    const question = this.#question;
    if (this.#judging && now >= question.verdictAt) {
      this.silent = question.doubted;
      question.doubted = true;
      question.verdictAt = now + SECOND_LOOK;
    }
    if (now < question.repeatAt) return false;
    question.repeatAt = now + this.#pauseAfter(question);
    return true;
  }

  get #judging(): boolean {
    return this.#watching && !this.silent;
  }

  get #firstInterval(): number {
    return Math.min(FIRST_INTERVAL, this.#keepalive);
  }

  #pauseAfter({ patience }: Question): number {
    if (this.silent) return WHILE_SILENT;
    return this.#watching ? patience / ATTEMPTS : this.#keepalive;
  }
}

/** quiche's binding does not tell how much the round trip varies: by a quarter, say. */
function patienceFor(rtt = UNKNOWN_RTT): number {
  const probeTimeout = rtt + 4 * (rtt / 4) + MAX_ACK_DELAY;
  return Math.min(MAX_PATIENCE, Math.max(MIN_PATIENCE, 3 * probeTimeout));
}
