import type { Instant } from '../../src/machine.ts';

/** As many as a Linux router tracks by default, or fewer. */
const MAX_ENTRIES = 65_536;

/** What a router keeps about conversations: forgotten when nobody used it for a while. Bounded. */
export class IdleTable<Value> {
  readonly #idleMs: number;
  readonly #forget: (value: Value) => void;
  /** The longest unused first. */
  readonly #entries = new Map<string, { readonly value: Value; readonly usedAt: Instant }>();

  constructor(idleMs: number, forget: (value: Value) => void = () => {}) {
    this.#idleMs = idleMs;
    this.#forget = forget;
  }

  get full(): boolean {
    return this.#entries.size >= MAX_ENTRIES;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  get(key: string): Value | undefined {
    return this.#entries.get(key)?.value;
  }

  /** Adds a value, or says that it was used. */
  use(key: string, value: Value, now: Instant): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, usedAt: now });
  }

  /** Forgets what has been idle for too long. */
  expire(now: Instant): void {
    for (const [key, { usedAt }] of this.#entries) {
      if (now - usedAt < this.#idleMs) return;
      this.#delete(key);
    }
  }

  clear(): void {
    for (const key of [...this.#entries.keys()]) this.#delete(key);
  }

  #delete(key: string): void {
    const entry = this.#entries.get(key);
    this.#entries.delete(key);
    if (entry) this.#forget(entry.value);
  }
}
