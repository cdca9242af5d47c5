import type { Instant } from '../../machine.ts';
import { DatagramError, type Fragment, flowKey, MAX_PAYLOAD } from './datagram-frame.ts';
import { FairShares, OVERHEAD } from './fair-shares.ts';

/** How long the fragments of a payload are waited for, from the first that came. Milliseconds. */
export const REASSEMBLY_TIMEOUT = 1000;

/** Bytes of payloads that are not complete, of all flows. */
const LIMIT = 1024 * 1024;

/** A payload of which some fragments are here. */
interface Partial {
  readonly key: number;
  readonly packet: number;
  readonly count: number;
  readonly expires: Instant;
  /** Which fragments are here. */
  readonly seen: boolean[];
  missing: number;
  /** What it costs its flow. */
  charged: number;
  /** All pieces but the last have this size; undefined while only the last is here. */
  size: number | undefined;
  /** Holds every piece at its place once the size is known, and before that the last piece alone. */
  bytes: Buffer;
  lastSize: number;
}

/** Joins fragments in any order to the payloads that they were, or lets them go. Told the time; bounded, and fair to each flow. */
export class Reassembly {
  readonly #shares: FairShares;
  /** By flow, then by packet, the oldest first. */
  readonly #flows = new Map<number, Map<number, Partial>>();
  /** The oldest first. */
  readonly #byAge = new Set<Partial>();
  /** For the next flow: most have one payload at a time, and a Map costs more than the rest. */
  #spare: Map<number, Partial> | undefined;
  #incomplete = 0;

  constructor(limit: number = LIMIT) {
    this.#shares = new FairShares(limit);
  }

  /** Payloads that were given up, for lack of a fragment or of room. */
  get incomplete(): number {
    return this.#incomplete;
  }

  /** Bytes that are kept, with what keeping them costs. */
  get held(): number {
    return this.#shares.total;
  }

  /** When something is too old, or undefined while there is nothing. */
  get timeout(): Instant | undefined {
    for (const oldest of this.#byAge) return oldest.expires;
    return undefined;
  }

  /**
   * Takes a fragment, whose bytes are copied. Returns the payload if it was the one that was missing. Throws DatagramError if it
   * cannot belong to those that came before; they are given up, too: nobody knows which are right.
   */
  receive(port: number, flow: number, fragment: Fragment, piece: Buffer, now: Instant): Buffer | undefined {
    this.expire(now);
    const key = flowKey(port, flow);
    const partial = this.#flows.get(key)?.get(fragment.packet) ?? this.#begin(key, fragment, now);
    try {
      if (!place(partial, fragment, piece)) return undefined;
    } catch (error) {
      this.#giveUp(partial);
      throw error;
    }
    if (partial.missing === 0) {
      this.#forget(partial);
      return partial.bytes;
    }
    this.#charge(partial);
    return undefined;
  }

  /** Gives up what is too old. */
  expire(now: Instant): void {
    for (const partial of this.#byAge) {
      if (partial.expires > now) return;
      this.#giveUp(partial);
    }
  }

  #begin(key: number, { packet, count }: Fragment, now: Instant): Partial {
    const partial: Partial = {
      key,
      packet,
      count,
      expires: now + REASSEMBLY_TIMEOUT,
      seen: [],
      missing: count,
      charged: 0,
      size: undefined,
      bytes: NOTHING,
      lastSize: 0,
    };
    let packets = this.#flows.get(key);
    if (packets === undefined) {
      packets = this.#spare ?? new Map();
      this.#spare = undefined;
      this.#flows.set(key, packets);
    }
    packets.set(packet, partial);
    this.#byAge.add(partial);
    return partial;
  }

  /** Whoever has more than its share loses its oldest: that is the least likely to be completed. */
  #charge(partial: Partial): void {
    const cost = OVERHEAD + partial.bytes.length;
    if (cost === partial.charged) return;
    this.#shares.add(partial.key, cost - partial.charged);
    partial.charged = cost;
    for (;;) {
      const debtor = this.#shares.debtor(partial.key);
      if (debtor === undefined) return;
      const [oldest] = this.#flows.get(debtor)?.values() ?? [];
      if (oldest === undefined) return;
      this.#giveUp(oldest);
    }
  }

  #giveUp(partial: Partial): void {
    this.#incomplete += 1;
    this.#forget(partial);
  }

  #forget(partial: Partial): void {
    const packets = this.#flows.get(partial.key);
    packets?.delete(partial.packet);
    if (packets?.size === 0) {
      this.#flows.delete(partial.key);
      this.#spare = packets;
    }
    this.#byAge.delete(partial);
    this.#shares.remove(partial.key, partial.charged);
  }
}

/** Puts a piece where it belongs. False: it is here already. Throws DatagramError. */
function place(partial: Partial, { index, count }: Fragment, piece: Buffer): boolean {
  if (count !== partial.count) throw new DatagramError(`a fragment of ${count}, others of ${partial.count}`);
  const isLast = index === count - 1;
  const expected = isLast ? partial.lastSize : partial.size;
  if (partial.seen[index] === true) {
    if (piece.length !== expected) throw new DatagramError(`fragment ${index} again, and another`);
    return false;
  }
  if (isLast) partial.lastSize = piece.length;
  else partial.size ??= piece.length;
  const { size } = partial;
  if (!isLast && size !== piece.length)
    throw new DatagramError(`fragments of ${size}, ${piece.length} bytes`);
  if (size === undefined) partial.bytes = copyOf(piece, piece.length);
  else {
    // The last one may be the longest only where there is nothing to compare it with.
    if (partial.lastSize > size) throw new DatagramError(`a last fragment of ${partial.lastSize} bytes`);
    const before = size * (count - 1);
    if (before + Math.max(1, partial.lastSize) > MAX_PAYLOAD)
      throw new DatagramError(`${count} fragments of ${size}`);
    makeRoom(partial, before, size);
    piece.copy(partial.bytes, index * size);
    if (isLast) partial.bytes = partial.bytes.subarray(0, before + piece.length);
  }
  partial.seen[index] = true;
  partial.missing -= 1;
  return true;
}

/** With the first piece that is not the last, the places of all are known. */
function makeRoom(partial: Partial, before: number, size: number): void {
  if (partial.bytes.length > partial.lastSize) return;
  const last = partial.bytes;
  partial.bytes = Buffer.allocUnsafe(before + (partial.lastSize || Math.min(size, MAX_PAYLOAD - before)));
  last.copy(partial.bytes, before);
}

const NOTHING = Buffer.alloc(0);

/** In memory of its own: what the piece lies in may be much larger. */
function copyOf(piece: Buffer, length: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(length);
  piece.copy(copy);
  return copy;
}
