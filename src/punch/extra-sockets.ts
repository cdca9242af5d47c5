import type { Instant } from '../machine.ts';
import type { Prober, ProbeSocket } from '../nat/prober.ts';
import { type SocketOutput, Workbench } from '../nat/workbench.ts';
import type { Endpoint } from '../net/endpoint.ts';

/** The workbench counts its sockets from 1; the numbers 0 and 1 are the main ones'. */
const OFFSET = 1;

export type ExtraSocketOutput = SocketOutput | { readonly type: 'close'; readonly socket: number };

/** Sockets that a round asks for, STUN on them, and a diary. All end with the round, but for the socket that found the path. */
export class ExtraSockets {
  readonly #bench: Workbench;
  readonly #open = new Set<number>();
  readonly #closing: number[] = [];

  constructor(random: (size: number) => Buffer) {
    this.#bench = new Workbench(random);
  }

  /** What a round works with. Its sockets go by the bench's own numbers: see `numberOf`. */
  get bench(): Prober {
    return this.#bench;
  }

  numberOf({ id }: Pick<ProbeSocket, 'id'>): number {
    return id + OFFSET;
  }

  begin(now: Instant, deadline: Instant): void {
    this.#bench.begin(now, deadline);
  }

  /** @param wanted whether there is still a round that asked for it */
  opened(socket: number, localPort: number, wanted: boolean, now: Instant): void {
    if (wanted) {
      this.#open.add(socket);
      this.#bench.opened(socket - OFFSET, localPort, now);
    } else this.#closing.push(socket);
  }

  failed(socket: number, now: Instant): void {
    this.#bench.failed(socket - OFFSET, now);
  }

  /** Whether it was for one of these sockets. */
  receive(socket: number, from: Endpoint, bytes: Buffer, now: Instant): boolean {
    if (!this.#open.has(socket)) return false;
    this.#bench.receive(socket - OFFSET, from, bytes, now);
    return true;
  }

  /** The round is over. What it has said already must have been taken. */
  end(keep: number | undefined): void {
    this.#bench.end();
    for (const socket of this.#open) {
      if (socket === keep) continue;
      this.#open.delete(socket);
      this.#closing.push(socket);
    }
  }

  pollOutput(): ExtraSocketOutput | undefined {
    const output = this.#bench.pollOutput();
    if (output) return { ...output, socket: output.socket + OFFSET };
    const socket = this.#closing.shift();
    return socket === undefined ? undefined : { type: 'close', socket };
  }

  pollTimeout(): Instant | undefined {
    return this.#bench.pollTimeout();
  }

  handleTimeout(now: Instant): void {
    this.#bench.handleTimeout(now);
  }
}
