import { ResetCode } from './channel-frame.ts';

/** Ended channels that are remembered by how they ended: as many as can end while the peer does not know of it, and more. */
const MAX_REMEMBERED = 4096;

/** What became of channels that are over, for a peer that has missed their end and wants to go on with them. */
export class EndedChannels {
  readonly #codes = new Map<bigint, number>();
  /** Ids below are over, too, but it is forgotten how. Ids count up. */
  #floor = 0n;

  /** @param code the ResetCode, undefined for a proper end */
  add(channel: bigint, code: number | undefined): void {
    this.#codes.set(channel, code ?? ResetCode.finished);
    for (const oldest of this.#codes.keys()) {
      if (this.#codes.size <= MAX_REMEMBERED) break;
      this.#codes.delete(oldest);
      if (oldest >= this.#floor) this.#floor = oldest + 1n;
    }
  }

  /** The ResetCode with which a channel has ended; undefined for one that was never there. */
  codeOf(channel: bigint): number | undefined {
    return this.#codes.get(channel) ?? (channel < this.#floor ? ResetCode.closed : undefined);
  }
}
