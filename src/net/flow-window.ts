import type { Instant } from '../machine.ts';
import type { Budget } from './budget.ts';

export interface FlowWindowOptions {
  /** Bytes that the peer may send at first; the protocol's constant. */
  readonly initial: number;
  /** Bytes it may grow to. */
  readonly maximum: number;
  /** Where the bytes come from: `initial` is taken, growth is reserved. */
  readonly budget: Budget;
}

/**
 * The receiving half of credit-based flow control. Credit goes back when bytes are consumed, half a window at a time; when
 * that half went by within a few round trips, the window is what limits the sender, and it doubles.
 * While its budget is overdrawn, a window that has grown is not renewed in full: it shrinks back.
 */
export class FlowWindow {
  #options: FlowWindowOptions;
  #size: number;
  /** What the peer may still send. */
  #open: number;
  #consumed = 0;
  #lastGrant: Instant;

  constructor(options: FlowWindowOptions, now: Instant) {
    this.#options = options;
    this.#size = options.initial;
    this.#open = options.initial;
    this.#lastGrant = now;
    options.budget.take(options.initial);
  }

  get size(): number {
    return this.#size;
  }

  /** Makes it smaller, before anything was granted: for this stream, the protocol's constants are others. */
  narrow(initial: number, maximum: number): void {
    const less = this.#size - initial;
    this.#options = { ...this.#options, initial, maximum };
    this.#size = initial;
    this.#open -= less;
    this.#options.budget.release(less);
  }

  /** Bytes have arrived. False: the peer sent more than it was granted. */
  receive(bytes: number): boolean {
    if (bytes > this.#open) return false;
    this.#open -= bytes;
    return true;
  }

  /**
   * Bytes have been consumed. Returns what to grant the peer now, 0 for nothing yet.
   * @param rtt round-trip time in milliseconds; undefined while unknown
   */
  consume(bytes: number, now: Instant, rtt: number | undefined): number {
    this.#consumed += bytes;
    if (this.#consumed * 2 < this.#size) return 0;
    const grant = this.#consumed - this.#shrink() + this.#grow(now, rtt);
    this.#consumed = 0;
    this.#open += grant;
    this.#lastGrant = now;
    return grant;
  }

  /** Gives everything back to the budget. The window is of no use afterwards. */
  close(): void {
    this.#options.budget.release(this.#size);
    this.#size = 0;
  }

  #shrink(): number {
    const { initial, budget } = this.#options;
    const bytes = Math.min(this.#consumed, this.#size - initial, budget.overdraft);
    this.#size -= bytes;
    budget.release(bytes);
    return bytes;
  }

  #grow(now: Instant, rtt: number | undefined): number {
    const { maximum, budget } = this.#options;
    // Under a millisecond the clock and the scheduler say more than the path does.
    const fast = now - this.#lastGrant < 4 * Math.max(rtt ?? 0, 1);
    if (!fast || this.#size >= maximum) return 0;
    const growth = Math.min(this.#size, maximum - this.#size);
    if (!budget.reserve(growth)) return 0;
    this.#size += growth;
    return growth;
  }
}
