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

  has(key: Key): boolean {
    return this.#due.has(key);
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

/** One deadline for each key, as far ahead as it likes; cheap as long as there are few different delays. */
export class Alarms<Key> {
  readonly #byDelay = new Map<number, Deadlines<Key>>();
  readonly #delays = new Map<Key, number>();

  get size(): number {
    return this.#delays.size;
  }

  /** Sets the key's deadline, in place of the one that it has. */
  set(key: Key, delay: number, now: Instant): void {
    this.delete(key);
    const deadlines = this.#byDelay.get(delay) ?? new Deadlines(delay);
    this.#byDelay.set(delay, deadlines);
    deadlines.set(key, now);
    this.#delays.set(key, delay);
  }

  delete(key: Key): void {
    this.#byDelay.get(this.#delays.get(key) ?? -1)?.delete(key);
    this.#delays.delete(key);
  }

  /** The earliest deadline. */
  next(): Instant | undefined {
    return earliest(...[...this.#byDelay.values()].map((deadlines) => deadlines.next()));
  }

  /** Takes out one that is due, or returns undefined. */
  expire(now: Instant): Key | undefined {
    for (const deadlines of this.#byDelay.values()) {
      const key = deadlines.expire(now);
      if (key === undefined) continue;
      this.#delays.delete(key);
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
