import type { Instant } from '../machine.ts';
import type { Endpoint } from '../net/endpoint.ts';

/** All of this in so many milliseconds, however many searches there are. */
const WINDOW = 60_000;

/** Addresses that have never answered; and probes to each, beside as many that answer probes which come from there. */
const MAX_ADDRESSES = 16;
const MAX_PROBES = 10;

interface Spent {
  readonly since: Instant;
  own: number;
  replies: number;
}

/**
 * What one link may send to addresses that nothing but the peer's word speaks for. They may be anybody's, so that this holds for all of its
 * searches together. An address that answers has its probes back.
 */
export class ProbeBudget {
  /** By address and port, the longest ago first. */
  readonly #spent = new Map<string, Spent>();

  /** Whether one more probe may go there; counts it. @param isReply whether a probe of the peer's has just come from there */
  take(to: Endpoint, isReply: boolean, now: Instant): boolean {
    this.#forget(now);
    const key = keyOf(to);
    const spent = this.#spent.get(key) ?? { since: now, own: 0, replies: 0 };
    if (!this.#spent.has(key) && this.#spent.size >= MAX_ADDRESSES) return false;
    this.#spent.set(key, spent);
    return isReply ? spent.replies++ < MAX_PROBES : spent.own++ < MAX_PROBES;
  }

  /** It has answered a fresh probe. */
  answered(from: Endpoint): void {
    this.#spent.delete(keyOf(from));
  }

  /** Begins anew, as in another network of our own: what could not be reached from the one may be from the other. */
  renew(): void {
    this.#spent.clear();
  }

  #forget(now: Instant): void {
    for (const [key, { since }] of this.#spent) {
      if (now - since < WINDOW) return;
      this.#spent.delete(key);
    }
  }
}

function keyOf({ address, port }: Endpoint): string {
  return `${address} ${port}`;
}
