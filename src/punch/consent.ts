import type { Instant } from '../machine.ts';

/**
 * From one heartbeat to the next, in milliseconds, and by how much of it the time varies so that clients spread out. No longer time is
 * tried while the link is idle: consent has to be fresh (RFC 7675: 30 s), a dead path is to be noticed before anybody needs it, some
 * NATs forget in 20 s, and it is 40 bytes a second.
 */
const BEAT = 5000;
const SPREAD = 0.2;

/** There are NATs that forget sooner: the time halves when it was too long, and grows by so much when it was not. */
const SHORTEST_BEAT = 1250;
const GROWTH = 250;

/** When a heartbeat is sent, and again while nothing answers: one lost packet is no sign of anything. */
const PROBES = [0, 500, 1500] as const;

/** The path is dead after so many heartbeats in a row that nothing answered. */
const MISSES = 3;

/** The same for a path that is in doubt, and when it is dead. */
const CHECK_PROBES = [0, 500, 1000] as const;
const CHECK_TIME = 1500;

/** What is due: a probe; or one, and a look at what other paths there are; or nothing more. */
export type Pulse = 'probe' | 'doubt' | 'lost' | undefined;

/** Whether the peer still wants what we send (RFC 7675), and the NATs between us still let it through. */
export class Consent {
  readonly #random: () => number;
  #beat: number;
  #beganAt: Instant;
  #beatAt: Instant;
  /** Probes of this heartbeat. */
  #sent = 0;
  #heard = true;
  #misses = 0;
  #checkedAt: Instant | undefined;

  /** @param random gives numbers in [0, 1); `beat`, from one heartbeat to the next, at most and at first 5 s */
  constructor(random: () => number, now: Instant, beat = BEAT) {
    this.#random = random;
    this.#beat = beat;
    this.#beganAt = now;
    this.#beatAt = now + this.#interval();
  }

  /** From one heartbeat to the next if this one was too long, in milliseconds. */
  get shorterBeat(): number {
    return Math.max(SHORTEST_BEAT, this.#beat / 2);
  }

  /** Whether the path has been silent for longer than a lost packet explains. */
  get doubted(): boolean {
    return !this.#heard && this.#misses > 0 && (!this.#isChecking || this.#sent > 1);
  }

  /**
   * The peer has answered a probe that was sent then; or, without it, its acknowledgements have arrived. These may be of before a
   * check, and do not end it.
   */
  heard(sentAt?: Instant): void {
    if (this.#checkedAt !== undefined && (sentAt ?? Number.NEGATIVE_INFINITY) < this.#checkedAt) return;
    if (!this.#heard && sentAt !== undefined) this.#adapt(sentAt > this.#beganAt);
    this.#checkedAt = undefined;
    this.#heard = true;
  }

  /** There is reason to believe that the path is dead: it has 1.5 s to show that it is not. */
  check(now: Instant): void {
    if (this.#isChecking) return;
    this.#checkedAt = now;
    this.#beganAt = now;
    this.#beatAt = now + CHECK_TIME;
    this.#sent = 0;
    this.#heard = false;
    this.#misses = MISSES - 1;
  }

  pollTimeout(): Instant {
    const probes = this.#isChecking ? CHECK_PROBES : PROBES;
    const next = this.#heard ? undefined : probes[this.#sent];
    return next === undefined ? this.#beatAt : Math.min(this.#beganAt + next, this.#beatAt);
  }

  handleTimeout(now: Instant): Pulse {
    if (now < this.pollTimeout()) return undefined;
    if (now < this.#beatAt) {
      this.#sent++;
      return this.doubted ? 'doubt' : 'probe';
    }
    const missed = !this.#heard;
    this.#misses = missed ? this.#misses + 1 : 0;
    if (this.#misses >= MISSES) return 'lost';
    if (missed) this.#beat = BEAT;
    this.#checkedAt = undefined;
    this.#beganAt = now;
    this.#beatAt = now + this.#interval();
    this.#sent = 1;
    this.#heard = false;
    return missed ? 'doubt' : 'probe';
  }

  get #isChecking(): boolean {
    return this.#checkedAt !== undefined;
  }

  /** @param late whether only a repetition was answered: a NAT may have forgotten the path, and learnt it anew from the first probe */
  #adapt(late: boolean): void {
    this.#beat = late ? this.shorterBeat : Math.min(BEAT, this.#beat + GROWTH);
  }

  #interval(): number {
    return this.#beat * (1 - SPREAD + 2 * SPREAD * this.#random());
  }
}
