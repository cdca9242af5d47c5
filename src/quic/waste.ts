/** What may have arrived to no purpose. Some native memory grows with it, at most fourfold. */
const MAX_WASTE = 16 * 1024 * 1024;

/** Forgiven at each sign of life that is asked for: an idle connection lives for years. */
const PARDON = 64 * 1024;

/** Of what arrives, this much per byte that streams have moved is no waste: acknowledgements, repetitions. */
const ALLOWANCE = 2;

/** And of a packet that brings a datagram, or acknowledges one, this much: the datagram itself may be far smaller. */
const ENVELOPE = 64;

/** Packets that may wait for their datagram: one in a hundred is no reason to forget all the others. */
const MAX_ENVELOPES = 256;

/**
 * Notices a peer that sends packets, but no streams and no datagrams. quiche (0.18) keeps ids to retire, challenges to answer and TLS messages
 * without a limit while the peer acknowledges nothing.
 */
export class Waste {
  /** Bytes that were the peer's, and bytes of which that is not known yet. */
  #proven = 0;
  #unproven = 0;
  /** Packets since it was last known, and how many the peer had sent then. */
  #packets = 0;
  #genuine = 0;
  /** Packets that have not been forgiven for a datagram. */
  #envelopes = 0;

  /** A packet has arrived. */
  arrived(bytes: number): void {
    this.#packets += 1;
    if (this.#envelopes < MAX_ENVELOPES) this.#envelopes += 1;
    this.#unproven += bytes;
  }

  /** Streams or datagrams have received or sent so much. @param datagrams how many that were */
  carried(bytes: number, datagrams = 0): void {
    // Many of them in one packet are no excuse for what else is in it.
    const envelopes = Math.min(datagrams, this.#envelopes);
    this.#envelopes -= envelopes;
    this.#unproven -= bytes * ALLOWANCE + envelopes * ENVELOPE;
    if (this.#unproven >= 0) return;
    this.#proven = Math.max(0, this.#proven + this.#unproven);
    this.#unproven = 0;
  }

  /** A quiet while has passed. */
  pardon(): void {
    this.carried(PARDON / ALLOWANCE);
  }

  /**
   * Whether it is too much.
   * @param genuine how many packets, of all so far, were the peer's: the others anybody may have invented, and do not count
   */
  isTooMuch(genuine: () => number): boolean {
    if (this.#proven + this.#unproven <= MAX_WASTE) return false;
    const count = genuine();
    this.#proven += this.#unproven * Math.min(1, (count - this.#genuine) / Math.max(1, this.#packets));
    this.#unproven = 0;
    this.#packets = 0;
    this.#genuine = count;
    return this.#proven > MAX_WASTE;
  }
}
