import type { Instant } from '../machine.ts';
import type { Budget } from '../net/budget.ts';
import { ByteQueue } from '../net/byte-queue.ts';
import { FlowWindow } from '../net/flow-window.ts';
import {
  ChannelDecoder,
  ChannelError,
  ChannelFrame,
  type ChannelHeader,
  type ChannelSink,
  encodeChannelHeader,
  encodeDataHeader,
  encodeOffset,
  encodeReset,
  INITIAL_CREDIT,
  MAX_DATA,
  ResetCode,
} from './channel-frame.ts';

/** What happened on a channel. */
export type ChannelOutput =
  /** The opener said what it wants (acceptor only, first). */
  | { readonly type: 'opened'; readonly header: ChannelHeader }
  /** Bytes for the application. Give them back with `consume` once it has taken them. */
  | { readonly type: 'data'; readonly chunk: Buffer }
  /** The peer's application has sent its last byte. */
  | { readonly type: 'end' }
  /** The queue was full and has room again. */
  | { readonly type: 'drain' }
  /** The channel is over: `finished` in both directions, or reset with a code (by the peer, or `protocolError`). */
  | { readonly type: 'finished' }
  | { readonly type: 'reset'; readonly code: number; readonly problem?: string };

export interface ChannelOptions {
  /** The opener's header; undefined on the side that accepts. */
  readonly header: ChannelHeader | undefined;
  /** Where the receive credit comes from: the link's. */
  readonly budget: Budget;
  /** What all channels of the link may have queued for the peer. */
  readonly sendBudget: Budget;
}

/** How far a channel's credit grows, while the link's budget has it. */
const MAX_CREDIT = 16 * 1024 * 1024;

/** Bytes waiting for credit or for the carrier, at which the application is told to wait. */
const SEND_MARK = 64 * 1024;

/**
 * One application connection, without a carrier: bytes are numbered from the channel's start, and the receiver's credit says
 * up to where the sender may go. Feed it what the carrier's stream delivers with `receive`, and give the stream what
 * `transmit` yields. A core: it is told the time and does no I/O.
 */
export class Channel implements ChannelSink {
  readonly #window: FlowWindow;
  readonly #sendBudget: Budget;
  readonly #decoder: ChannelDecoder;
  readonly #queue = new ByteQueue();
  #outputs: ChannelOutput[] = [];
  #outputsTaken = 0;
  #header: Buffer | undefined;
  #sent = 0;
  #peerCredit = INITIAL_CREDIT;
  #received = 0;
  #consumed = 0;
  #granted = INITIAL_CREDIT;
  #creditDue = false;
  #resetDue: number | undefined;
  #ending = false;
  #finSent = false;
  #finReceived = false;
  #blocked = false;
  #over = false;

  constructor({ header, budget, sendBudget }: ChannelOptions, now: Instant) {
    this.#sendBudget = sendBudget;
    this.#window = new FlowWindow({ initial: INITIAL_CREDIT, maximum: MAX_CREDIT, budget }, now);
    this.#decoder = new ChannelDecoder(header === undefined, this);
    this.#header = header && encodeChannelHeader(header);
  }

  /** The channel needs its carrier's stream no more; `transmit` may still have a RESET to send. */
  get over(): boolean {
    return this.#over;
  }

  /** Queues the application's bytes. Ask `blocked` before writing more. */
  write(chunk: Buffer): void {
    if (this.#over || this.#ending) return;
    this.#queue.push(chunk);
    this.#sendBudget.take(chunk.length);
    if (this.#queue.length >= SEND_MARK || this.#sendBudget.overdraft > 0) this.#blocked = true;
  }

  /** Whether the queue is full; `drain` follows. */
  get blocked(): boolean {
    return this.#blocked && !this.#over;
  }

  /** The application will write no more. */
  end(): void {
    this.#ending = true;
  }

  /** Ends the channel at once, both ways, and tells the peer why. No more outputs follow. */
  reset(code: number): void {
    if (this.#over) return;
    this.#resetDue = code;
    this.#outputs = [];
    this.#outputsTaken = 0;
    this.#finish();
  }

  /** The application has taken bytes: the peer may send as many again. */
  consume(bytes: number, now: Instant, rtt: number | undefined): void {
    this.#consumed += bytes;
    if (this.#over) this.#releaseWindow();
    if (this.#over || this.#finReceived) return;
    const grant = this.#window.consume(bytes, now, rtt);
    if (grant === 0) return;
    this.#granted += grant;
    this.#creditDue = true;
  }

  /** Bytes have arrived on the carrier's stream. */
  receive(chunk: Buffer): void {
    if (this.#over) return;
    try {
      this.#decoder.decode(chunk);
    } catch (error) {
      if (!(error instanceof ChannelError)) throw error;
      // What follows the end of a channel means nothing.
      if (this.#over) return;
      this.#outputs.push({ type: 'reset', code: ResetCode.protocolError, problem: error.message });
      this.#resetDue = ResetCode.protocolError;
      this.#finish();
    }
  }

  /** The carrier's stream has gone: a channel that is not finished is reset with it. */
  lost(): void {
    if (this.#over) return;
    this.#outputs.push({ type: 'reset', code: ResetCode.closed });
    this.#finish();
  }

  pollOutput(): ChannelOutput | undefined {
    if (this.#outputsTaken < this.#outputs.length) return this.#outputs[this.#outputsTaken++];
    this.#outputs = [];
    this.#outputsTaken = 0;
    return undefined;
  }

  /** Whether `transmit` has something to yield. */
  get pending(): boolean {
    if (this.#header !== undefined || this.#resetDue !== undefined) return true;
    if (this.#over) return false;
    if (this.#creditDue) return true;
    return this.#queue.length > 0 ? this.#peerCredit > this.#sent : this.#ending && !this.#finSent;
  }

  /** Appends what is to be written to the carrier's stream now, one data frame at most. */
  transmit(into: Buffer[]): void {
    if (this.#header !== undefined) into.push(this.#header);
    this.#header = undefined;
    if (this.#resetDue !== undefined) into.push(encodeReset(this.#resetDue));
    this.#resetDue = undefined;
    if (this.#over) return;
    if (this.#creditDue) into.push(encodeOffset(ChannelFrame.credit, this.#granted));
    this.#creditDue = false;
    this.#transmitData(into);
  }

  onHeader(header: ChannelHeader): void {
    this.#outputs.push({ type: 'opened', header });
  }

  onData(chunk: Buffer): void {
    if (this.#over) return;
    if (this.#finReceived) throw new ChannelError('data after the end');
    if (!this.#window.receive(chunk.length)) throw new ChannelError('data beyond the credit');
    this.#received += chunk.length;
    this.#outputs.push({ type: 'data', chunk });
  }

  onCredit(offset: number): void {
    if (offset < this.#peerCredit) throw new ChannelError('credit taken back');
    this.#peerCredit = offset;
  }

  onFin(offset: number): void {
    if (this.#over) return;
    if (this.#finReceived || offset !== this.#received)
      throw new ChannelError(`end at ${offset}, not ${this.#received}`);
    this.#finReceived = true;
    this.#outputs.push({ type: 'end' });
    this.#finishIfDone();
  }

  onReset(code: number): void {
    if (this.#over) return;
    this.#outputs.push({ type: 'reset', code });
    this.#finish();
  }

  #transmitData(into: Buffer[]): void {
    const at = into.length;
    const allowed = Math.min(MAX_DATA, this.#peerCredit - this.#sent);
    if (this.#queue.length > 0 && allowed > 0) {
      into.push(PLACEHOLDER);
      const length = this.#queue.take(allowed, into);
      this.#sendBudget.release(length);
      into[at] = encodeDataHeader(length);
      this.#sent += length;
    }
    if (this.#blocked && this.#hasRoom) {
      this.#blocked = false;
      this.#outputs.push({ type: 'drain' });
    }
    if (this.#ending && !this.#finSent && this.#queue.length === 0) {
      into.push(encodeOffset(ChannelFrame.fin, this.#sent));
      this.#finSent = true;
      this.#finishIfDone();
    }
  }

  get #hasRoom(): boolean {
    return (
      this.#queue.length === 0 || (this.#queue.length <= SEND_MARK / 2 && this.#sendBudget.overdraft === 0)
    );
  }

  #finishIfDone(): void {
    if (!this.#finSent || !this.#finReceived) return;
    this.#outputs.push({ type: 'finished' });
    this.#over = true;
    // Without a reset the application still gets what it has not taken yet: that stays on the link's account.
    this.#releaseWindow();
  }

  #releaseWindow(): void {
    if (this.#consumed === this.#received) this.#window.close();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#window.close();
    this.#sendBudget.release(this.#queue.length);
    this.#queue.clear();
  }
}

const PLACEHOLDER = Buffer.alloc(0);
