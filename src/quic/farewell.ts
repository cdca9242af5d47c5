/** How often it is said again, each time after twice as many packets. */
const MAX_REPEATS = 6;

/** What we said last. It may be lost, so whoever goes on sending is told again, less and less often (RFC 9000 section 10.2.1). */
export class Farewell {
  readonly #packet: Buffer;
  #heard = 0;

  constructor(packet: Buffer) {
    this.#packet = packet;
  }

  /** A packet has arrived from a peer that has not heard it. Returns what to send, if anything. */
  answer(): Buffer | undefined {
    this.#heard += 1;
    const repeats = Math.log2(this.#heard);
    return Number.isInteger(repeats) && repeats < MAX_REPEATS ? this.#packet : undefined;
  }
}
