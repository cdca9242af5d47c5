import type { Socket } from 'node:net';
import { Pattern } from './pattern.ts';
import { Pauses } from './pauses.ts';
import { type Failing, LOST, tell } from './said.ts';

/** What its owner decides. */
export interface EndOwner {
  /** After bytes that were right. */
  onReceived(): void;
  /** The other end's last byte is here. Returns what is wrong with that, if anything. */
  onEnd(): string | undefined;
  /** It is over, in order or not, and was told. */
  onOver(failed: boolean): void;
}

/** One end of a connection, behind its first bytes: sends the pattern's bytes at a pace, and compares each that arrives. */
export class End {
  readonly id: number;
  readonly pauses: Pauses;
  sent = 0;
  received = 0;
  /** Bytes a second. */
  rate = 0;
  /** It sends up to this many bytes in all, then waits. */
  limit = 0;
  readonly #socket: Socket;
  readonly #outgoing: Pattern;
  readonly #incoming: Pattern;
  readonly #owner: EndOwner;
  #allowance = 0;
  #ending = false;
  #ended = false;
  #over = false;

  constructor(socket: Socket, id: number, seed: number, side: 'client' | 'service', owner: EndOwner) {
    this.id = id;
    this.pauses = new Pauses('tcp', id);
    this.#socket = socket;
    const [up, down] = [new Pattern(seed), new Pattern(seed ^ 0x5bd1e995)];
    [this.#outgoing, this.#incoming] = side === 'client' ? [up, down] : [down, up];
    this.#owner = owner;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.fail(error.code === 'ECONNREFUSED' ? 'refused' : 'reset', error.message);
    });
    socket.on('end', () => this.#end());
    socket.on('close', () => this.#close());
  }

  /** Sends what is due. @param ms since the last time */
  tick(ms: number): void {
    if (this.pauses.silence > LOST) {
      this.fail('lost', `no byte for ${Math.round(this.pauses.silence / 1000)} s`);
      return;
    }
    // What was not sent in time is not made up for: a pause makes no flood.
    this.#allowance = Math.min(this.#allowance + (this.rate * ms) / 1000, this.rate / 4);
    this.send(Math.floor(this.#allowance));
  }

  /** Sends up to so many bytes now, as far as limit and connection allow. */
  send(bytes: number): void {
    const size = Math.min(bytes, this.limit - this.sent);
    if (size <= 0 || this.#ending || this.#over || this.#socket.writableNeedDrain) return;
    this.#allowance = Math.max(0, this.#allowance - size);
    this.#socket.write(this.#outgoing.bytes(this.sent, size));
    this.sent += size;
  }

  /** No more bytes; the other direction stays open. */
  end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#socket.end();
  }

  /** Bytes of the pattern that have arrived. */
  take(chunk: Buffer): void {
    if (this.#over) return;
    const wrong = this.#incoming.mismatch(this.received, chunk);
    if (wrong !== undefined) {
      const place = this.received + wrong;
      const origin = this.#incoming.locate(place, chunk.subarray(wrong));
      this.fail(
        'corrupted',
        `at ${place}${origin === undefined ? '' : `, where the bytes of ${origin} are`}`,
      );
      return;
    }
    this.received += chunk.length;
    this.pauses.moved();
    this.#owner.onReceived();
  }

  fail(what: Failing, detail: string): void {
    if (this.#over) return;
    this.#over = true;
    this.pauses.close();
    const { id, sent, received } = this;
    tell({ event: 'failed', at: Date.now(), id, what, detail, sent, received });
    this.#socket.destroy();
    this.#owner.onOver(true);
  }

  #end(): void {
    if (this.#over) return;
    this.#ended = true;
    this.pauses.moved();
    const wrong = this.#owner.onEnd();
    if (wrong !== undefined) this.fail('truncated', wrong);
  }

  #close(): void {
    if (this.#over) return;
    if (!this.#ended || !this.#ending) {
      this.fail('reset', 'closed before both directions had ended');
      return;
    }
    this.#over = true;
    const { id, sent, received } = this;
    tell({ event: 'ended', at: Date.now(), id, sent, received });
    this.#owner.onOver(false);
  }
}
