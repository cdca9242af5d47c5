import type { Runtime, Timer } from '../net/runtime.ts';

/** From a search that found nothing to the next: from the first to the second figure, doubled each time. Milliseconds. */
const FIRST_PAUSE = 10_000;
const LAST_PAUSE = 3_600_000;

/** Says when it is time to look for a direct path again, each time later. */
export class Reminder {
  readonly #runtime: Runtime;
  readonly #remind: () => void;
  #pause = FIRST_PAUSE;
  #timer: Timer | undefined;

  constructor(runtime: Runtime, remind: () => void) {
    this.#runtime = runtime;
    this.#remind = remind;
  }

  later(): void {
    this.#timer?.cancel();
    this.#timer = this.#runtime.setTimer(this.#pause, this.#remind);
    this.#pause = Math.min(2 * this.#pause, LAST_PAUSE);
  }

  /** Not this time. */
  cancel(): void {
    this.#timer?.cancel();
  }

  /** The next pause is a short one again. */
  reset(): void {
    this.#pause = FIRST_PAUSE;
  }
}
