import type { Instant } from '../../src/machine.ts';
import type { Runtime, Timer } from '../../src/net/runtime.ts';
import { Random } from './random.ts';

interface Pending {
  readonly at: Instant;
  readonly order: number;
  readonly callback: () => void;
}

/** A runtime whose clock moves only when told to, and whose randomness comes from a seed. */
export class VirtualRuntime implements Runtime {
  #now: Instant = 0;
  #order = 0;
  readonly #timers = new Set<Pending>();
  readonly #random: Random;

  constructor(seed = 1) {
    this.#random = new Random(seed);
  }

  now(): Instant {
    return this.#now;
  }

  setTimer(delay: number, callback: () => void): Timer {
    const pending = { at: this.#now + Math.max(0, delay), order: this.#order++, callback };
    this.#timers.add(pending);
    return { cancel: () => this.#timers.delete(pending) };
  }

  randomBytes(size: number): Buffer {
    return this.#random.bytes(size);
  }

  /** Moves the clock, firing what falls due on the way, in order. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (;;) {
      const next = this.#next();
      if (next === undefined || next.at > end) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.callback();
    }
    this.#now = end;
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  #next(): Pending | undefined {
    let first: Pending | undefined;
    for (const timer of this.#timers) {
      if (!first || timer.at < first.at || (timer.at === first.at && timer.order < first.order))
        first = timer;
    }
    return first;
  }
}
