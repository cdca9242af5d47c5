import type { Instant } from '../machine.ts';
import { Consent, type Pulse } from './consent.ts';
import type { Pair } from './pair.ts';

/** The pair that both sides use, and whether the peer is still there. */
export class ActivePath {
  readonly pair: Pair;
  readonly #consent: Consent;

  /** @param random bytes from a CSPRNG */
  constructor(pair: Pair, random: (size: number) => Buffer, now: Instant) {
    this.pair = pair;
    this.#consent = new Consent(() => random(4).readUInt32BE() / 2 ** 32, now);
  }

  heard(): void {
    this.#consent.heard();
  }

  /** The peer's NAT, or its network, has given it another address: the pair that has been heard of since. */
  successorIn(pairs: readonly Pair[]): Pair | undefined {
    const since = this.pair.answeredAt ?? 0;
    return pairs.find(({ answeredAt }) => answeredAt !== undefined && answeredAt > since);
  }

  pollTimeout(): Instant {
    return this.#consent.pollTimeout();
  }

  handleTimeout(now: Instant): Pulse {
    return this.#consent.handleTimeout(now);
  }
}
