import type { Runtime, Timer } from '../../net/runtime.ts';

/** Searches a minute, in the long run, whatever the server wants: each may send a few thousand probes. */
export const SEARCHES_PER_MINUTE = 6;

/** The number of the first search after a meeting. */
export const FIRST_SEARCH = 1;

/** From a search that found nothing to the next: from the first to the second figure, doubled each time. Milliseconds. */
const FIRST_PAUSE = 10_000;
const LAST_PAUSE = 3_600_000;

/** Reasons that may be others the next time, though neither network has changed. */
const PASSING: ReadonlySet<string> = new Set(['exhausted', 'busy', 'unmeasured', 'unvouched']);

/** Whether to search again can come to something else, after a search that ended for this reason. */
export function isPassing(reason: string): boolean {
  return PASSING.has(reason);
}

/** When another search is asked for. */
export class NextSearch {
  readonly #runtime: Runtime;
  readonly #ask: () => void;
  #pause = FIRST_PAUSE;
  #timer: Timer | undefined;

  constructor(runtime: Runtime, ask: () => void) {
    this.#runtime = runtime;
    this.#ask = ask;
  }

  now(): void {
    this.cancel();
    this.#ask();
  }

  /** After a pause, which is twice as long the next time. */
  later(): void {
    this.cancel();
    this.#timer = this.#runtime.setTimer(this.#pause, this.#ask);
    this.#pause = Math.min(2 * this.#pause, LAST_PAUSE);
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** There is reason to hope: the next pause is a short one. */
  hope(): void {
    this.#pause = FIRST_PAUSE;
  }
}
