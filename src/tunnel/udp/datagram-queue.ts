import type { Instant } from '../../machine.ts';
import { flowKey, WHOLE_HEADER_SIZE } from './datagram-frame.ts';
import { FairShares, OVERHEAD } from './fair-shares.ts';
import { Cutting } from './fragments.ts';
import { REASSEMBLY_TIMEOUT } from './reassembly.ts';

/** A game has no use for a datagram that is older. Milliseconds. */
const MAX_AGE = 150;

/** Bytes of all flows. */
const LIMIT = 256 * 1024;

/** Bytes that a flow may send before it is the next one's turn. */
const QUANTUM = 1500;

export interface QueueLimits {
  /** Bytes of all flows, with what keeping them costs. */
  readonly bytes?: number;
  /** Milliseconds. */
  readonly age?: number;
}

/** A payload that waits. */
interface Waiting {
  readonly port: number;
  readonly flow: number;
  /** Encoded as a whole. */
  readonly whole: Buffer;
  readonly since: Instant;
  /** What is left of it when its first pieces have gone, and for which size they were cut. */
  cutting: Cutting | undefined;
}

interface Flow {
  readonly key: number;
  readonly waiting: Waiting[];
  /** What it may send in this turn. */
  deficit: number;
}

/** How many payloads were dropped, and why. */
export interface QueueDrops {
  /** They had waited too long. */
  old: number;
  /** There was no room. */
  full: number;
  /** No carrier's datagrams are large enough to cut it for. */
  large: number;
}

/**
 * Payloads that wait for room on a carrier: not for long, and the oldest go first when they are too many. Flows take turns by
 * bytes (deficit round robin), so one that floods only delays itself. Told the time.
 */
export class DatagramQueue {
  readonly drops: QueueDrops = { old: 0, full: 0, large: 0 };
  readonly #maxAge: number;
  readonly #shares: FairShares;
  /** Those with something to send, the next one first. */
  readonly #flows = new Map<number, Flow>();
  /** What `next` has said. */
  #offered: { readonly flow: Flow; readonly waiting: Waiting; readonly size: number } | undefined;
  #packet = 0;

  constructor({ bytes = LIMIT, age = MAX_AGE }: QueueLimits = {}) {
    this.#maxAge = age;
    this.#shares = new FairShares(bytes);
  }

  get isEmpty(): boolean {
    return this.#flows.size === 0;
  }

  /** Bytes that wait, with what keeping them costs. */
  get held(): number {
    return this.#shares.total;
  }

  /** @param whole the payload as `encodeWhole` has it */
  push(port: number, flow: number, whole: Buffer, now: Instant): void {
    const key = flowKey(port, flow);
    const waiting = { port, flow, whole, since: now, cutting: undefined };
    const known = this.#flows.get(key);
    if (known === undefined) this.#flows.set(key, { key, waiting: [waiting], deficit: QUANTUM });
    else known.waiting.push(waiting);
    this.#shares.add(key, cost(waiting));
    this.#makeRoom(key);
  }

  /** What to send next, at most `maxDatagram` bytes; undefined when there is nothing. Say `taken` when it has been. */
  next(maxDatagram: number, now: Instant): Buffer | undefined {
    for (const flow of this.#flows.values()) {
      this.#dropOld(flow, now);
      const size = this.#sizeOfNext(flow, maxDatagram);
      if (size === undefined) continue;
      if (flow.deficit < size) {
        // Its turn is over. Map goes on to what is appended meanwhile, so the loop comes back to it.
        flow.deficit += QUANTUM;
        this.#flows.delete(flow.key);
        this.#flows.set(flow.key, flow);
        continue;
      }
      const waiting = flow.waiting[0] as Waiting;
      this.#offered = { flow, waiting, size };
      return waiting.cutting?.next() ?? waiting.whole;
    }
    return undefined;
  }

  /** What `next` has returned is on its way. */
  taken(): void {
    const { flow, waiting, size } = this.#offered ?? {};
    this.#offered = undefined;
    if (flow === undefined || waiting === undefined || size === undefined) return;
    // Sending can lead to more being pushed, and this being pushed out.
    if (flow.waiting[0] !== waiting) return;
    flow.deficit -= size;
    if (waiting.cutting?.advance() !== true) this.#remove(flow, 0);
  }

  /** Drops what is too old. */
  expire(now: Instant): void {
    for (const flow of this.#flows.values()) this.#dropOld(flow, now);
  }

  /** Bytes of the flow's next datagram, which it is made ready for; undefined when nothing is left of the flow. */
  #sizeOfNext(flow: Flow, maxDatagram: number): number | undefined {
    for (let waiting = flow.waiting[0]; waiting !== undefined; waiting = flow.waiting[0]) {
      if (waiting.cutting === undefined && waiting.whole.length <= maxDatagram) return waiting.whole.length;
      // The carrier may be another one now: pieces that went on the one before are lost, or all come.
      if (waiting.cutting === undefined || waiting.cutting.longest > maxDatagram)
        waiting.cutting = this.#cut(waiting, maxDatagram);
      if (waiting.cutting !== undefined) return waiting.cutting.nextLength;
      this.drops.large += 1;
      this.#remove(flow, 0);
    }
    return undefined;
  }

  #cut({ port, flow, whole }: Waiting, maxDatagram: number): Cutting | undefined {
    this.#packet = (this.#packet + 1) & 0xffff;
    return Cutting.of(port, flow, this.#packet, whole.subarray(WHOLE_HEADER_SIZE), maxDatagram);
  }

  /** One of which pieces have gone may take as long as the peer waits for the others. */
  #dropOld(flow: Flow, now: Instant): void {
    for (let first = flow.waiting[0]; first !== undefined; first = flow.waiting[0]) {
      const limit = first.cutting === undefined ? this.#maxAge : REASSEMBLY_TIMEOUT;
      if (now - first.since <= limit) return;
      this.drops.old += 1;
      this.#remove(flow, 0);
    }
  }

  #makeRoom(last: number): void {
    for (;;) {
      const debtor = this.#shares.debtor(last);
      const flow = debtor === undefined ? undefined : this.#flows.get(debtor);
      if (flow === undefined) return;
      this.drops.full += 1;
      // What has been sent in part would be a waste.
      this.#remove(flow, flow.waiting[0]?.cutting !== undefined && flow.waiting.length > 1 ? 1 : 0);
    }
  }

  #remove(flow: Flow, index: number): void {
    const [waiting] = flow.waiting.splice(index, 1);
    if (waiting !== undefined) this.#shares.remove(flow.key, cost(waiting));
    // What it has not used is nobody's: it cannot save up.
    if (flow.waiting.length === 0) this.#flows.delete(flow.key);
  }
}

function cost({ whole }: Waiting): number {
  return OVERHEAD + whole.length;
}
