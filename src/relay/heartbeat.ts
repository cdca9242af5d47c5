import type { Instant } from '../machine.ts';

const INTERVAL = 30_000;
const PATIENCE = 10_000;

/** When to ping, what the answers say about the round trip, and when the peer is dead. */
export class Heartbeat {
  #next: Instant;
  #sent: Instant | undefined;
  #value = 0;
  #heard: Instant;
  #rtt: number | undefined;

  constructor(now: Instant) {
    this.#next = now;
    this.#heard = now;
  }

  /** Smoothed round-trip time (RFC 6298's α = 1/8), milliseconds. */
  get rtt(): number | undefined {
    return this.#rtt;
  }

  get deadline(): Instant {
    return this.#sent === undefined ? this.#next : this.#deathAt(this.#sent);
  }

  /** Any byte from the peer is a sign of life: on a slow path the pong can be far behind data. */
  heard(now: Instant): void {
    this.#heard = now;
  }

  isDead(now: Instant): boolean {
    return this.#sent !== undefined && now >= this.#deathAt(this.#sent);
  }

  isDue(now: Instant): boolean {
    return this.#sent === undefined && now >= this.#next;
  }

  /** Records a ping that goes out now and returns its value. */
  ping(now: Instant): number {
    this.#sent = now;
    this.#value = (this.#value + 1) >>> 0;
    return this.#value;
  }

  /** A pong that answers no ping of ours is ignored, with false. */
  pong(value: number, now: Instant): boolean {
    if (this.#sent === undefined || value !== this.#value) return false;
    const sample = now - this.#sent;
    this.#rtt = this.#rtt === undefined ? sample : this.#rtt + (sample - this.#rtt) / 8;
    this.#next = this.#sent + INTERVAL;
    this.#sent = undefined;
    return true;
  }

  #deathAt(sent: Instant): Instant {
    return Math.max(sent, this.#heard) + PATIENCE;
  }
}
