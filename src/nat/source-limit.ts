import type { Instant } from '../machine.ts';
import { RateLimiter, rateKey } from '../net/rate-limit.ts';

/** Answers a minute for each source: one discovery asks about 120 times, and a provider's NAT has many households behind it. */
const PER_SOURCE = 1200;

/** Answers a second in all, some forty discoveries: a flood under many false addresses gets a fraction of one core, and no more. */
const IN_ALL = 5000;

const SECOND = 1000;

/** How many answers a STUN server gives, to each source and in all. */
export class SourceLimit {
  readonly #sources = new RateLimiter(PER_SOURCE);
  #secondBegan: Instant = Number.NEGATIVE_INFINITY;
  #given = 0;

  /** Counts an answer; false when it is one too many, which is then not counted. */
  take(address: string, now: Instant): boolean {
    if (now - this.#secondBegan >= SECOND) {
      this.#secondBegan = now;
      this.#given = 0;
    }
    if (this.#given >= IN_ALL || !this.#sources.take(rateKey(address), now)) return false;
    this.#given++;
    return true;
  }
}
