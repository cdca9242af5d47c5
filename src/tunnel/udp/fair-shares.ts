/** What each thing that is kept costs besides its bytes: many empty ones need memory, too. */
export const OVERHEAD = 256;

/** One flow's account. */
export interface Account {
  bytes: number;
}

/** Bytes that many flows keep under one limit: the fewer flows there are, the more each may have. */
export class FairShares {
  readonly #limit: number;
  readonly #accounts = new Map<number, Account>();
  #total = 0;
  /** Goes round the accounts and stays where it was, so that nobody is looked at again and again. */
  #hand = this.#accounts.entries();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get total(): number {
    return this.#total;
  }

  /** Flows that have something. */
  get size(): number {
    return this.#accounts.size;
  }

  add(key: number, bytes: number): void {
    this.#total += bytes;
    const account = this.#accounts.get(key);
    if (account === undefined) this.#accounts.set(key, { bytes });
    else account.bytes += bytes;
  }

  /** Bytes that were added. */
  remove(key: number, bytes: number): void {
    const account = this.#accounts.get(key);
    if (account === undefined) return;
    this.#total -= bytes;
    account.bytes -= bytes;
    if (account.bytes <= 0) this.#accounts.delete(key);
  }

  /**
   * Who has to give something up: a flow with more than its share, `last` if that is one. Undefined within the limit.
   * @param last the flow that has just been given something
   */
  debtor(last: number): number | undefined {
    if (this.#total <= this.#limit) return undefined;
    const share = this.#limit / this.#accounts.size;
    if ((this.#accounts.get(last)?.bytes ?? 0) > share) return last;
    // Together they have more than the limit, so one of them has more than its share of it.
    for (let left = 2 * this.#accounts.size + 2; left > 0; left--) {
      const step = this.#hand.next();
      if (step.done === true) this.#hand = this.#accounts.entries();
      else if (step.value[1].bytes > share) return step.value[0];
    }
    return last;
  }
}
