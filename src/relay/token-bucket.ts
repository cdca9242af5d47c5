import type { Instant } from '../machine.ts';

/** A rate in bytes a second, with a burst of one second. Overdrawing is allowed once; the debt is waited out. */
export class TokenBucket {
  readonly #rate: number;
  #tokens: number;
  #updated: Instant;

  /** @param rate bytes a second; 0 for no limit */
  constructor(rate: number, now: Instant) {
    this.#rate = rate;
    this.#tokens = rate;
    this.#updated = now;
  }

  /** Takes bytes, and returns the milliseconds until the debt is paid; 0 when there is none. */
  take(bytes: number, now: Instant): number {
    if (this.#rate === 0) return 0;
    this.#tokens = this.#tokensAt(now) - bytes;
    this.#updated = now;
    return this.#tokens >= 0 ? 0 : (-this.#tokens * 1000) / this.#rate;
  }

  /** Milliseconds until it is as good as new, when nothing more is taken. */
  untilFull(now: Instant): number {
    if (this.#rate === 0) return 0;
    return ((this.#rate - this.#tokensAt(now)) * 1000) / this.#rate;
  }

  #tokensAt(now: Instant): number {
    return Math.min(this.#rate, this.#tokens + ((now - this.#updated) * this.#rate) / 1000);
  }
}
