import type { Instant } from '../machine.ts';

const INTERVAL = 30_000;
const PATIENCE = 10_000;

/** A ping that has been answered by nothing for so long is a reason to look at what is below. Milliseconds. */
const DOUBT = 2_000;

/** How long the answer to a `check` may take, in milliseconds. */
const CHECK_PATIENCE = 5_000;

/** A verdict that comes so much later than it was due: the process was asleep, and what has arrived is yet to be read. */
const LATE = 500;
/** How long it is put off then, once. */
const SECOND_LOOK = 2_000;

/** When to ping, what the answers say about the round trip, and when the peer is dead. */
export class Heartbeat {
  readonly #busyInterval: number;
  readonly #start: Instant;
  #pinged: Instant | undefined;
  #waiting = false;
  #value = 0;
  #heard: Instant;
  #busyUntil: Instant = Number.NEGATIVE_INFINITY;
  #checkDue: Instant | undefined;
  /** This ping's silence has been told of. */
  #doubted = false;
  readonly #doubts: boolean;
  #reprieve: Instant | undefined;
  #rtt: number | undefined;

  /** @param busyInterval milliseconds between pings while the session is in use; such a session tells of doubts, too */
  constructor(now: Instant, busyInterval?: number) {
    this.#busyInterval = busyInterval ?? INTERVAL;
    this.#doubts = busyInterval !== undefined;
    this.#start = now;
    this.#heard = now;
  }

  /** Smoothed round-trip time (RFC 6298's α = 1/8), milliseconds. */
  get rtt(): number | undefined {
    return this.#rtt;
  }

  /** When to look again. `inUse`: somebody would miss the peer. */
  deadline(inUse: boolean): Instant {
    if (!this.#waiting) return this.#next(inUse);
    return this.#doubted ? this.#deathAt : Math.min(this.#doubtAt, this.#deathAt);
  }

  /** Any byte from the peer is a sign of life: on a slow path the pong can be far behind data. */
  heard(now: Instant): void {
    this.#heard = now;
    this.#checkDue = undefined;
    this.#reprieve = undefined;
  }

  /** For a while it is in use, whatever else is said of it. */
  use(now: Instant): void {
    this.#busyUntil = now + INTERVAL;
  }

  /** Whether the peer is to be given up. */
  isDead(now: Instant): boolean {
    if (!this.#waiting || now < this.#deathAt) return false;
    if (this.#reprieve !== undefined || now - this.#deathAt < LATE) return true;
    this.#reprieve = now + SECOND_LOOK;
    return false;
  }

  /** Whether the latest ping is in doubt: true once. */
  isDoubtful(now: Instant): boolean {
    if (!this.#waiting || this.#doubted || now < this.#doubtAt) return false;
    this.#doubted = true;
    return true;
  }

  isDue(now: Instant, inUse: boolean): boolean {
    return !this.#waiting && now >= this.#next(inUse);
  }

  /** The peer is doubted: it has less time from now on, until it is heard. True: a ping is due for that. */
  check(now: Instant): boolean {
    this.#checkDue ??= now + CHECK_PATIENCE;
    return !this.#waiting;
  }

  /** Records a ping that goes out now and returns its value. */
  ping(now: Instant): number {
    this.#pinged = now;
    this.#waiting = true;
    this.#doubted = !this.#doubts;
    this.#value = (this.#value + 1) >>> 0;
    return this.#value;
  }

  /** A pong that answers no ping of ours is ignored, with false. */
  pong(value: number, now: Instant): boolean {
    if (!this.#waiting || this.#pinged === undefined || value !== this.#value) return false;
    const sample = now - this.#pinged;
    this.#rtt = this.#rtt === undefined ? sample : this.#rtt + (sample - this.#rtt) / 8;
    this.#waiting = false;
    return true;
  }

  #next(inUse: boolean): Instant {
    if (this.#pinged === undefined) return this.#start;
    const quick = this.#pinged + this.#busyInterval;
    return inUse || quick < this.#busyUntil ? quick : this.#pinged + INTERVAL;
  }

  get #doubtAt(): Instant {
    return Math.max(this.#pinged ?? this.#start, this.#heard) + DOUBT;
  }

  get #deathAt(): Instant {
    const due = Math.max(this.#pinged ?? this.#start, this.#heard) + PATIENCE;
    return Math.max(Math.min(due, this.#checkDue ?? due), this.#reprieve ?? 0);
  }
}
