import type { Instant } from '../machine.ts';
import type { Endpoint } from '../net/endpoint.ts';

/** RFC 7675's time for which consent lasts, in milliseconds. */
const LASTS = 30_000;
const MAX_PROVEN = 8;

/** Where a fresh probe of ours has been answered: only packets from there may reach more than the probes' own parser. */
export class Proven {
  /** When each was proven last, the longest ago first. */
  readonly #provenAt = new Map<string, Instant>();

  add(socket: number, from: Endpoint, now: Instant): void {
    const key = keyOf(socket, from);
    this.#provenAt.delete(key);
    this.#provenAt.set(key, now);
    for (const oldest of this.#provenAt.keys()) {
      if (this.#provenAt.size <= MAX_PROVEN) return;
      this.#provenAt.delete(oldest);
    }
  }

  has(socket: number, from: Endpoint, now: Instant): boolean {
    const provenAt = this.#provenAt.get(keyOf(socket, from));
    return provenAt !== undefined && now - provenAt < LASTS;
  }
}

function keyOf(socket: number, { address, port }: Endpoint): string {
  return `${socket} ${address} ${port}`;
}
