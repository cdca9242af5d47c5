import type { Instant } from '../machine.ts';

/**
 * Deadlines that all lie the same time ahead, such as "45 s after the last message". Since they fall due in the order in
 * which they were set, one Map is the whole queue and every operation takes constant time, however many there are.
 */
export class Deadlines<Key> {
  readonly #delay: number;
  readonly #due = new Map<Key, Instant>();

  /** `delay` in milliseconds. */
  constructor(delay: number) {
    this.#delay = delay;
  }

  get size(): number {
    return this.#due.size;
  }

  /** Sets the deadline, or moves it. */
  set(key: Key, now: Instant): void {
    this.#due.delete(key);
    this.#due.set(key, now + this.#delay);
  }

  delete(key: Key): void {
    this.#due.delete(key);
  }

  /** The earliest deadline. */
  next(): Instant | undefined {
    for (const at of this.#due.values()) return at;
    return undefined;
  }

  /** Takes out one that is due, or returns undefined. */
  expire(now: Instant): Key | undefined {
    for (const [key, at] of this.#due) {
      if (at > now) break;
      this.#due.delete(key);
      return key;
    }
    return undefined;
  }
}

/** The earliest of several instants, where undefined is never. */
export function earliest(...instants: readonly (Instant | undefined)[]): Instant | undefined {
  let first: Instant | undefined;
  for (const at of instants) if (at !== undefined && (first === undefined || at < first)) first = at;
  return first;
}
