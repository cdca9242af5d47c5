import type { Instant } from '../machine.ts';
import { Consent, type Pulse } from './consent.ts';
import type { Pair } from './pair.ts';
import { isWorthMoving } from './preference.ts';

/** From one look for a better path to the next, in milliseconds. Both sides count from the choice of this one, so that they look together. */
const LOOK_INTERVAL = 60_000;

/** The pair that both sides use, whether the peer is still there, and when there is reason to use another. */
export class ActivePath {
  readonly pair: Pair;
  readonly #consent: Consent;
  #lookAt: Instant;

  /** @param random bytes from a CSPRNG; `before`, the path that was used until now */
  constructor(pair: Pair, random: (size: number) => Buffer, now: Instant, before?: ActivePath) {
    this.pair = pair;
    // The same network at another port: a NAT on the way has forgotten the path, and has to be reminded more often.
    const isForgotten = before?.pair.remote.address === pair.remote.address;
    const beat = isForgotten ? before.#consent.shorterBeat : undefined;
    this.#consent = new Consent(() => random(4).readUInt32BE() / 2 ** 32, now, beat);
    this.#lookAt = now + LOOK_INTERVAL;
  }

  /** @param sentAt when the probe was sent that the peer has answered; without it, the peer has acknowledged something */
  heard(sentAt?: Instant): void {
    this.#consent.heard(sentAt);
  }

  /** There is reason to believe that it is dead. */
  check(now: Instant): void {
    this.#consent.check(now);
  }

  /** Whether a pair that has just been answered is to be used instead. */
  isInferiorTo(pair: Pair): boolean {
    return pair !== this.pair && (this.#consent.doubted || isWorthMoving(this.pair, pair));
  }

  pollTimeout(): Instant {
    return Math.min(this.#consent.pollTimeout(), this.#lookAt);
  }

  /** What is due, one thing at a time. `look`: at what other paths there are. */
  handleTimeout(now: Instant): Pulse | 'look' {
    if (now < this.#lookAt) return this.#consent.handleTimeout(now);
    this.#lookAt = now + LOOK_INTERVAL;
    return 'look';
  }
}
