import type { Instant } from '../machine.ts';

/** From one heartbeat to the next, in milliseconds, and by how much of it the time varies so that clients spread out. */
const BEAT = 5000;
const SPREAD = 0.2;

/** A heartbeat without an answer is sent again after these, in milliseconds: one lost packet is no sign of anything. */
const AGAIN = [500, 1500] as const;

/** The path is dead after so many heartbeats in a row that nothing answered. */
const MISSES = 3;

export type Pulse = 'probe' | 'miss' | 'lost' | undefined;

/** Whether the peer still wants what we send (RFC 7675), and the NATs between us still let it through. */
export class Consent {
  readonly #random: () => number;
  #beatAt: Instant;
  #beganAt: Instant;
  #sent = 0;
  #heard = true;
  #misses = 0;

  /** @param random gives numbers in [0, 1) */
  constructor(random: () => number, now: Instant) {
    this.#random = random;
    this.#beganAt = now;
    this.#beatAt = now + this.#interval();
  }

  /** The peer has answered, or its acknowledgements have arrived. */
  heard(): void {
    this.#heard = true;
  }

  pollTimeout(): Instant {
    const again = this.#heard ? undefined : AGAIN[this.#sent - 1];
    return again === undefined ? this.#beatAt : Math.min(this.#beganAt + again, this.#beatAt);
  }

  /** What is due. `miss`: a heartbeat went unanswered, and the next one is to be sent. */
  handleTimeout(now: Instant): Pulse {
    if (now < this.pollTimeout()) return undefined;
    if (now < this.#beatAt) {
      this.#sent++;
      return 'probe';
    }
    const missed = !this.#heard;
    this.#misses = missed ? this.#misses + 1 : 0;
    if (this.#misses >= MISSES) return 'lost';
    this.#beganAt = now;
    this.#beatAt = now + this.#interval();
    this.#sent = 1;
    this.#heard = false;
    return missed ? 'miss' : 'probe';
  }

  #interval(): number {
    return BEAT * (1 - SPREAD + 2 * SPREAD * this.#random());
  }
}
