import type { Instant } from '../machine.ts';
import type { Runtime, Timer } from '../net/runtime.ts';

/** One timer that is set again and again. One that rings too early costs less than setting it for each packet. */
export class Alarm {
  readonly #runtime: Runtime;
  readonly #onRing: () => void;
  #timer: Timer | undefined;
  #at: Instant = 0;

  constructor(runtime: Runtime, onRing: () => void) {
    this.#runtime = runtime;
    this.#onRing = onRing;
  }

  /** Rings after so many milliseconds at the latest. */
  set(delay: number): void {
    const at = this.#runtime.now() + delay;
    if (this.#timer !== undefined && this.#at <= at) return;
    this.cancel();
    this.#at = at;
    this.#timer = this.#runtime.setTimer(delay, () => {
      this.#timer = undefined;
      this.#onRing();
    });
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
