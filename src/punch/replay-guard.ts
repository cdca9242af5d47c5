import type { Endpoint } from '../net/endpoint.ts';

/** As many as two peers exchange within the life of a NAT's mapping. */
const MAX_REMEMBERED = 1024;

/** Knows where each question came from: one that comes again from elsewhere was captured, and is not the peer's. */
export class ReplayGuard {
  /** The source by transaction id, the oldest first. */
  readonly #sources = new Map<string, string>();

  /** Whether a question may be answered here. The network may well deliver one twice. */
  admits(transactionId: Buffer, socket: number, { address, port }: Endpoint): boolean {
    const key = transactionId.toString('latin1');
    const source = `${socket} ${address} ${port}`;
    const known = this.#sources.get(key);
    if (known !== undefined) return known === source;
    this.#sources.set(key, source);
    for (const oldest of this.#sources.keys()) {
      if (this.#sources.size <= MAX_REMEMBERED) break;
      this.#sources.delete(oldest);
    }
    return true;
  }
}
