import type { Instant } from '../machine.ts';

const MINUTE = 60_000;
/** Keys remembered at a time; beyond that the one unused for longest is forgotten. */
const MAX_KEYS = 65_536;

interface Bucket {
  tokens: number;
  /** When `tokens` was right. */
  at: Instant;
}

/** So many events a minute for each key, as a token bucket that starts full. */
export class RateLimiter {
  #perMinute: number;
  readonly #maxKeys: number;
  /** Least recently used first. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(perMinute: number, maxKeys = MAX_KEYS) {
    this.#perMinute = perMinute;
    this.#maxKeys = maxKeys;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Another rate from now on; nobody gets more than it at once. */
  setRate(perMinute: number): void {
    this.#perMinute = perMinute;
  }

  /** Whether one more event would be too many. */
  exhausted(key: string, now: Instant): boolean {
    return this.#tokens(key, now) < 1;
  }

  /** Counts an event; false when it is one too many, which is then not counted. */
  take(key: string, now: Instant): boolean {
    const tokens = this.#tokens(key, now);
    const taken = tokens < 1 ? 0 : 1;
    this.#buckets.delete(key);
    this.#buckets.set(key, { tokens: tokens - taken, at: now });
    this.#forget(now);
    return taken === 1;
  }

  #tokens(key: string, now: Instant): number {
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) return this.#perMinute;
    return Math.min(this.#perMinute, bucket.tokens + ((now - bucket.at) * this.#perMinute) / MINUTE);
  }

  /** After a minute a bucket is full again and not worth its place. Two a call, so that the table shrinks. */
  #forget(now: Instant): void {
    let looked = 0;
    for (const [key, { at }] of this.#buckets) {
      const keep = now - at < MINUTE && this.#buckets.size <= this.#maxKeys;
      if (keep || ++looked > 2) break;
      this.#buckets.delete(key);
    }
  }
}

/** What an address is counted by: itself, or the /64 of an IPv6 address, which is what one household has. */
export function rateKey(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail ? tail.split(':') : [];
  const zeros = new Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  const prefix = [...left, ...zeros, ...right].slice(0, 4);
  return prefix.map((group) => Number.parseInt(group, 16).toString(16)).join(':');
}
