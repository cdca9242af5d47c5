import { encodeFragment, FRAGMENT_HEADER_SIZE, MAX_FRAGMENTS } from './datagram-frame.ts';

/** A payload that is sent in pieces of one size, the last one excepted, which is no longer. They are cut when they go. */
export class Cutting {
  readonly #port: number;
  readonly #flow: number;
  readonly #packet: number;
  readonly #payload: Buffer;
  readonly #size: number;
  readonly #count: number;
  #index = 0;

  private constructor(port: number, flow: number, packet: number, payload: Buffer, count: number) {
    this.#port = port;
    this.#flow = flow;
    this.#packet = packet;
    this.#payload = payload;
    this.#count = count;
    // As long as one another: a last one of a few bytes would cost as much as a full one.
    this.#size = Math.ceil(payload.length / count);
  }

  /**
   * Undefined where a datagram holds so little that there would be too many pieces.
   * @param packet modulo 65,536, another one for each payload
   * @param maxDatagram bytes that a piece may have, header included
   */
  static of(
    port: number,
    flow: number,
    packet: number,
    payload: Buffer,
    maxDatagram: number,
  ): Cutting | undefined {
    const room = maxDatagram - FRAGMENT_HEADER_SIZE;
    const count = Math.max(2, Math.ceil(payload.length / room));
    // Two pieces of one byte each are the least that can be cut.
    if (room < 1 || count > MAX_FRAGMENTS || payload.length < 2) return undefined;
    return new Cutting(port, flow, packet, payload, count);
  }

  /** Bytes of the longest piece. */
  get longest(): number {
    return FRAGMENT_HEADER_SIZE + this.#size;
  }

  /** Bytes of the next piece. */
  get nextLength(): number {
    const start = this.#index * this.#size;
    return FRAGMENT_HEADER_SIZE + Math.min(this.#size, this.#payload.length - start);
  }

  /** The next piece; the same until `advance`. */
  next(): Buffer {
    const start = this.#index * this.#size;
    const fragment = { packet: this.#packet, index: this.#index, count: this.#count };
    return encodeFragment(
      this.#port,
      this.#flow,
      fragment,
      this.#payload.subarray(start, start + this.#size),
    );
  }

  /** The next piece is gone. False: it was the last. */
  advance(): boolean {
    this.#index += 1;
    return this.#index < this.#count;
  }
}
