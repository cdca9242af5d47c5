import type { Random } from './random.ts';

/** How a NAT chooses the external port of a new mapping. */
export type PortAllocation =
  /** The port inside, or a random one where that is taken. */
  | { readonly pattern: 'preserving' }
  /** Each `step` (signed) from the one before. `jitter`: how many steps at a time, drawn anew for each; 1 without it. */
  | {
      readonly pattern: 'sequential';
      readonly step: number;
      readonly jitter?: readonly [number, ...number[]];
    }
  /** Any of `size` ports from `first` on. */
  | { readonly pattern: 'block'; readonly first: number; readonly size: number }
  /** Any port. `constant` says so of a NAT that keeps it for all destinations. */
  | { readonly pattern: 'random' | 'constant' };

const LOWEST = 1024;
const COUNT = 65_536 - LOWEST;

export class PortAllocator {
  readonly #allocation: PortAllocation;
  readonly #random: Random;
  #last: number;

  constructor(allocation: PortAllocation, random: Random) {
    this.#allocation = allocation;
    this.#random = random;
    this.#last = LOWEST + random.integer(COUNT);
  }

  /** The port that a mapping of this inside port should have, where that is not left to `next`. */
  preferred(inside: number): number | undefined {
    return this.#allocation.pattern === 'preserving' ? inside : undefined;
  }

  /** Draws a port; it may be taken. */
  next(): number {
    const random = this.#random;
    switch (this.#allocation.pattern) {
      case 'sequential': {
        const { step, jitter = [1] } = this.#allocation;
        this.#last += step * random.pick(jitter);
        this.#last = LOWEST + ((((this.#last - LOWEST) % COUNT) + COUNT) % COUNT);
        return this.#last;
      }
      case 'block':
        return this.#allocation.first + random.integer(this.#allocation.size);
      default:
        return LOWEST + random.integer(COUNT);
    }
  }
}
