import type { Runtime, Timer } from '../net/runtime.ts';
import { TokenBucket } from './token-bucket.ts';

interface Shared {
  readonly bucket: TokenBucket;
  links: number;
  /** Set while no link uses the bucket. */
  removal: Timer | undefined;
}

/**
 * The token buckets of all tunnels: the links of a tunnel share one. It outlasts the last of them until it is full, so that
 * closing a link and opening it again brings no second burst.
 */
export class TunnelRates {
  readonly #runtime: Runtime;
  readonly #tunnels = new Map<string, Shared>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Tunnels that have a bucket. */
  get size(): number {
    return this.#tunnels.size;
  }

  /**
   * The bucket for one more link of a tunnel; `release` follows.
   * @param rate bytes a second, 0 for no limit; a bucket that is there already keeps its own
   */
  acquire(tunnel: string, rate: number): TokenBucket {
    const shared = this.#tunnels.get(tunnel) ?? {
      bucket: new TokenBucket(rate, this.#runtime.now()),
      links: 0,
      removal: undefined,
    };
    shared.removal?.cancel();
    shared.removal = undefined;
    shared.links += 1;
    this.#tunnels.set(tunnel, shared);
    return shared.bucket;
  }

  /** A link of the tunnel is over. */
  release(tunnel: string): void {
    const shared = this.#tunnels.get(tunnel);
    if (shared === undefined) return;
    shared.links -= 1;
    if (shared.links > 0) return;
    const wait = shared.bucket.untilFull(this.#runtime.now());
    if (wait === 0) this.#tunnels.delete(tunnel);
    else shared.removal = this.#runtime.setTimer(wait, () => this.#tunnels.delete(tunnel));
  }

  /** Forgets every bucket, and leaves no timer behind. */
  close(): void {
    for (const { removal } of this.#tunnels.values()) removal?.cancel();
    this.#tunnels.clear();
  }
}
