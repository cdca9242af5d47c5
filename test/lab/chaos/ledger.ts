import {
  type Datagrams,
  type Failing,
  NO_DATAGRAMS,
  PAUSE,
  type Said,
  type State,
  type Style,
  type Sums,
} from './traffic/said.ts';

/** Who tells: the connections' ends at the subscriber, and those at the publisher. */
export type Teller = 'client' | 'service';

/** A connection that did not live, or not as it should. */
export interface Failure {
  readonly at: number;
  readonly id: number;
  readonly style: Style | null;
  readonly teller: Teller;
  readonly what: Failing | 'unfinished';
  readonly detail: string;
}

/** So long nothing came that was due. */
export interface Pause {
  readonly kind: 'tcp' | 'udp';
  readonly teller: Teller;
  readonly id: number;
  readonly from: number;
  readonly to: number;
}

const EMPTY: State = { event: 'state', at: 0, live: 0, stalled: [], bytes: 0, datagrams: NO_DATAGRAMS };

/** What the traffic programs have told. */
export class Ledger {
  readonly failures: Failure[] = [];
  readonly pauses: Pause[] = [];
  readonly #styles = new Map<number, Style>();
  readonly #failed = new Set<number>();
  /** Of connections of which one end is over, and the other not yet. */
  readonly #half = new Map<number, { readonly teller: Teller; readonly sums: Sums }>();
  readonly #states = { client: EMPTY, service: EMPTY };
  /** UDP counts by time, as the client tells them. */
  readonly #counts: { readonly at: number; readonly datagrams: Datagrams }[] = [];
  #opened = 0;
  #whole = 0;

  hear(teller: Teller, said: Said): void {
    switch (said.event) {
      case 'opened':
        this.#opened += 1;
        this.#styles.set(said.id, said.style);
        break;
      case 'ended':
        this.#end(teller, said);
        break;
      case 'failed':
        this.#fail(teller, said, said.what, said.detail);
        break;
      case 'paused':
        this.pauses.push({ kind: said.kind, teller, id: said.id, from: said.from, to: said.at });
        break;
      case 'state':
        this.#states[teller] = said;
        if (teller === 'client') this.#counts.push({ at: said.at, datagrams: said.datagrams });
        break;
    }
  }

  /** Connections that were opened, and those that lived from begin to end at both ends. */
  get connections(): { readonly opened: number; readonly whole: number; readonly failed: number } {
    return { opened: this.#opened, whole: this.#whole, failed: this.#failed.size };
  }

  /** Bytes that arrived and were right, both ways. */
  get bytes(): number {
    return this.#states.client.bytes + this.#states.service.bytes;
  }

  get datagrams(): Datagrams {
    const { datagrams } = this.#states.client;
    return { ...datagrams, corrupted: datagrams.corrupted + this.#states.service.datagrams.corrupted };
  }

  /** The client's counts at a time. */
  datagramsAt(at: number): Datagrams {
    return this.#counts.findLast((each) => each.at <= at)?.datagrams ?? NO_DATAGRAMS;
  }

  /** Whether both programs have told since that nothing of a kind stands still. */
  moves(kind: 'tcp' | 'udp', since: number): boolean {
    const heard = Object.values(this.#states).every(({ at }) => at >= since + 2 * PAUSE);
    return heard && this.stalled.every((each) => each.kind !== kind);
  }

  /** What stands still, as it was told last; without what has failed at one end and is not known to be over at the other. */
  get stalled(): (State['stalled'][number] & { readonly teller: Teller })[] {
    return (['client', 'service'] as const).flatMap((teller) =>
      this.#states[teller].stalled
        .filter(({ kind, id }) => kind === 'udp' || !this.#isOver(id))
        .map((each) => ({ ...each, teller })),
    );
  }

  /** At the end: connections that began and of whose end nothing is known. */
  close(at: number): void {
    for (const [id] of this.#styles) {
      if (this.#failed.has(id)) continue;
      const { teller, sums } = this.#half.get(id) ?? {};
      const detail = teller === undefined ? 'ended at neither end' : `ended only at the ${teller}`;
      this.#fail('client', sums ?? { at, id, sent: 0, received: 0 }, 'unfinished', detail);
    }
  }

  #isOver(id: number): boolean {
    return this.#failed.has(id) || !this.#styles.has(id);
  }

  #end(teller: Teller, sums: Sums): void {
    const { id } = sums;
    if (this.#failed.has(id)) return;
    const other = this.#half.get(id);
    if (other === undefined || other.teller === teller) {
      this.#half.set(id, { teller, sums });
      return;
    }
    this.#half.delete(id);
    const lost = this.#difference(sums, other.sums);
    if (lost !== undefined) this.#fail(teller, sums, 'truncated', lost);
    else {
      this.#whole += 1;
      this.#styles.delete(id);
    }
  }

  #difference(one: Sums, other: Sums): string | undefined {
    if (one.sent === other.received && one.received === other.sent) return undefined;
    return `sent ${one.sent} and ${other.sent}, received ${other.received} and ${one.received}`;
  }

  /** One failure a connection: the second end only tells what the first has caused. */
  #fail(teller: Teller, { at, id }: Sums, what: Failure['what'], detail: string): void {
    if (this.#failed.has(id) && id >= 0) return;
    this.#failed.add(id);
    this.#half.delete(id);
    this.failures.push({ at, id, style: this.#styles.get(id) ?? null, teller, what, detail });
  }
}
