import type { Instant } from '../machine.ts';
import { Deadlines } from './deadlines.ts';

/** How long an address is left alone after a search that found nothing, in milliseconds. */
const REST = 60_000;

/**
 * Who may search through many ports: one link at a time for each public address, because each search takes hundreds of places in a
 * router's table, and looks like a scan to those who watch.
 */
export class BirthdayTurns {
  readonly #searching = new Set<string>();
  readonly #resting = new Deadlines<string>(REST);

  /** Takes all of these addresses, or none. */
  take(addresses: readonly string[]): boolean {
    if (addresses.some((address) => this.#searching.has(address) || this.#resting.has(address))) return false;
    for (const address of addresses) this.#searching.add(address);
    return true;
  }

  /** The search is over. @param rest whether the addresses are to be left alone for a while */
  release(addresses: readonly string[], rest: boolean, now: Instant): void {
    for (const address of addresses) {
      this.#searching.delete(address);
      if (rest) this.#resting.set(address, now);
    }
  }

  nextDeadline(): Instant | undefined {
    return this.#resting.next();
  }

  expire(now: Instant): void {
    for (let rested = this.#resting.expire(now); rested; rested = this.#resting.expire(now));
  }
}
