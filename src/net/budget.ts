/** A number of bytes that several users share. A budget inside another counts against both. */
export class Budget {
  readonly total: number;
  readonly #parent: Budget | undefined;
  #used = 0;

  constructor(total: number, parent?: Budget) {
    this.total = total;
    this.#parent = parent;
  }

  get used(): number {
    return this.#used;
  }

  /** Bytes taken beyond the total, here or in a budget around this one. */
  get overdraft(): number {
    return Math.max(0, this.#used - this.total, this.#parent?.overdraft ?? 0);
  }

  /** Takes bytes that its user must have. Whoever calls it bounds how often; growing users give back meanwhile. */
  take(bytes: number): void {
    this.#used += bytes;
    this.#parent?.take(bytes);
  }

  /** Takes bytes if they are there; false, and nothing taken, when they are not. */
  reserve(bytes: number): boolean {
    if (this.#used + bytes > this.total) return false;
    if (this.#parent !== undefined && !this.#parent.reserve(bytes)) return false;
    this.#used += bytes;
    return true;
  }

  /** Puts bytes back that were taken or reserved. */
  release(bytes: number): void {
    this.#used -= bytes;
    this.#parent?.release(bytes);
  }
}
