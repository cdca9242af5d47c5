const FIRST_DELAY = 250;
const MAX_DELAY = 15_000;

/** The longest delay while somebody waits, in milliseconds. */
export const HURRIED_DELAY = 5_000;

/** How long to wait before each attempt: twice as long every time, less up to a half by chance, so that clients spread out. */
export class Backoff {
  readonly #random: () => number;
  #delay = FIRST_DELAY;
  /** Somebody waits: delays are short. */
  hurried = false;

  /** `random` gives numbers in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Milliseconds to wait now. `patient` waits the longest time at once, as a server that is full asks for. */
  next(patient: boolean): number {
    const delay = patient ? MAX_DELAY : this.#delay;
    this.#delay = Math.min(delay * 2, MAX_DELAY);
    const allowed = this.hurried && !patient ? Math.min(delay, HURRIED_DELAY) : delay;
    return Math.round(allowed * (1 - this.#random() / 2));
  }

  reset(): void {
    this.#delay = FIRST_DELAY;
  }
}
