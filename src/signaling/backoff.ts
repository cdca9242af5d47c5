const FIRST_DELAY = 250;
const MAX_DELAY = 15_000;

/** How long to wait before each attempt: twice as long every time, less up to a half by chance, so that clients spread out. */
export class Backoff {
  readonly #random: () => number;
  #delay = FIRST_DELAY;

  /** `random` gives numbers in [0, 1). */
  constructor(random: () => number) {
    this.#random = random;
  }

  /**
   * Milliseconds to wait now. `patient` waits the longest time at once, as a server that is full asks for; else it is never more than
   * `longest`.
   */
  next(patient: boolean, longest = MAX_DELAY): number {
    const delay = patient ? MAX_DELAY : this.#delay;
    this.#delay = Math.min(delay * 2, MAX_DELAY);
    return this.spread(patient ? delay : Math.min(delay, longest));
  }

  /** This time, less up to a half by chance. */
  spread(delay: number): number {
    return Math.round(delay * (1 - this.#random() / 2));
  }

  reset(): void {
    this.#delay = FIRST_DELAY;
  }
}
