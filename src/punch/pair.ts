import type { Instant } from '../machine.ts';
import type { Endpoint } from '../net/endpoint.ts';
import type { Remote } from './remotes.ts';

/** When probes go out after the start, in milliseconds; then every `INTERVAL`. */
const OPENING = [0, 20, 60, 140, 300] as const;
const INTERVAL = 200;

/** A pair that is never answered wants no more than this. */
export const MAX_UNANSWERED = 10;

/** A look whether the peer can be reached this way by now. */
const MAX_LOOKS = 4;

/** After the first answer the peer may still wait for one of its own. */
const AFTER_SUCCESS = 3;

/** A socket of ours and an address of the peer's: a path, perhaps. It knows when it wants to be probed. */
export class Pair {
  readonly socket: number;
  readonly remote: Remote;
  /** From a probe to its answer in milliseconds, smoothed; undefined until one was answered. */
  rtt: number | undefined;
  /** The address that the peer saw us come from. */
  seen: Endpoint | undefined;
  /** How many have been, since it was begun with. */
  answers = 0;
  #startedAt: Instant | undefined;
  #sent = 0;
  #limit = MAX_UNANSWERED;
  #provoked = 0;

  constructor(socket: number, remote: Remote) {
    this.socket = socket;
    this.remote = remote;
  }

  /** A probe of ours was answered. */
  get valid(): boolean {
    return this.rtt !== undefined;
  }

  /** When the next probe is due; undefined where none is. */
  get nextAt(): Instant | undefined {
    if (this.#startedAt === undefined || this.#sent >= this.#limit) return undefined;
    return this.#startedAt + offsetOf(this.#sent);
  }

  /** Begins to probe; once. */
  start(now: Instant): void {
    this.#startedAt ??= now;
  }

  /** Begins anew, as if it had never been answered: a few times, because nobody waits for it. */
  look(now: Instant): void {
    this.rtt = undefined;
    this.answers = 0;
    this.#startedAt = now;
    this.#sent = 0;
    this.#limit = MAX_LOOKS;
  }

  stop(): void {
    this.#limit = this.#sent;
  }

  /**
   * The peer has come this way. Whether a probe of our own may go back at once, beside those that are due.
   * @param proven whether it has been shown of late that the peer is there
   */
  provoke(now: Instant, proven: boolean): boolean {
    const running = this.#startedAt !== undefined;
    this.start(now);
    if (!running || (this.valid && proven) || this.#provoked >= MAX_UNANSWERED) return false;
    this.#provoked++;
    return true;
  }

  /** A probe that was due goes out. */
  sent(): void {
    this.#sent++;
  }

  answered(rtt: number, seen: Endpoint): void {
    // RFC 6298's α.
    this.rtt = this.rtt === undefined ? rtt : this.rtt + (rtt - this.rtt) / 8;
    this.seen = seen;
    if (this.answers++ === 0) this.#limit = Math.min(this.#limit, this.#sent + AFTER_SUCCESS);
    this.#provoked = 0;
  }
}

/** How long after the start probe number `index` goes out, in milliseconds. */
export function offsetOf(index: number): number {
  const last = OPENING.length - 1;
  return OPENING[index] ?? (OPENING[last] ?? 0) + (index - last) * INTERVAL;
}
