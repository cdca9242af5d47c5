import type { Instant } from '../../machine.ts';
import type { Budget } from '../../net/budget.ts';
import { ByteQueue } from '../../net/byte-queue.ts';
import { copyOf } from '../../net/chunk-appender.ts';
import { FlowWindow } from '../../net/flow-window.ts';
import { ChannelError, encodeAck, INITIAL_CREDIT } from './channel-frame.ts';

/** How far a channel's credit grows, while the link's budget has it. */
const MAX_CREDIT = 16 * 1024 * 1024;

/** New bytes that are acknowledged at once: half the window, so that they go with the credit, or these. */
const MAX_ACK = 1024 * 1024;

/** How long fewer bytes wait for their acknowledgement, milliseconds. */
const ACK_DELAY = 100;

/** Where the next DATA of a lane begins; undefined until the peer's SEEK has said it. */
export interface ReceivePosition {
  arrived: number | undefined;
}

/**
 * The receiving half of a channel: puts the bytes of all lanes in order, grants credit and decides when to acknowledge.
 * What a lane brings while the one before still carries what precedes it is held until then: one gap there may be.
 */
export class ChannelReceiver {
  readonly #window: FlowWindow;
  /** Everything below is here. */
  #received = 0;
  #consumed = 0;
  /** Up to where the peer may send. */
  #granted = INITIAL_CREDIT;
  /** What has come ahead of a gap, and where it begins. */
  readonly #held = new ByteQueue();
  #heldFrom = 0;
  /** Where the peer's bytes end, once it has said so. */
  #end: number | undefined;
  /** What the last ACK said is here. */
  #acknowledged = 0;
  #ackDue = false;
  #ackAt: Instant | undefined;

  constructor(budget: Budget, now: Instant) {
    this.#window = new FlowWindow({ initial: INITIAL_CREDIT, maximum: MAX_CREDIT, budget }, now);
  }

  /** The peer's last byte is here. */
  get ended(): boolean {
    return this.#received === this.#end;
  }

  /** An ACK has to go out now. */
  get ackDue(): boolean {
    return this.#ackDue;
  }

  /** When one has to, at the latest. */
  get ackAt(): Instant | undefined {
    return this.#ackAt;
  }

  /** The next bytes of a lane. Appends to `into` what is in order now and was not before. Throws ChannelError. */
  onData(lane: ReceivePosition, chunk: Buffer, now: Instant, into: Buffer[]): void {
    const from = lane.arrived;
    if (from === undefined) throw new ChannelError('data before its offset');
    const to = from + chunk.length;
    lane.arrived = to;
    const ahead = to - this.#highest;
    if (ahead > 0) {
      if (this.#end !== undefined) throw new ChannelError('data after the end');
      if (!this.#window.receive(ahead)) throw new ChannelError('data beyond the credit');
    }
    if (from > this.#received) this.#hold(from, chunk);
    else if (to > this.#received) this.#deliver(chunk.subarray(this.#received - from), now, into);
    // The peer may not know that it is here.
    else this.#acknowledgeBy(now + ACK_DELAY);
  }

  /** The next DATA or FIN of the lane is there. */
  onSeek(lane: ReceivePosition, offset: number): void {
    lane.arrived = offset;
  }

  /** Throws ChannelError when the lane or the channel is elsewhere. */
  onFin(lane: ReceivePosition, offset: number): void {
    const ahead = offset - this.#highest;
    if (offset !== lane.arrived || ahead < 0 || (ahead > 0 && this.#end !== undefined))
      throw new ChannelError(`end at ${offset}, not ${this.#highest}`);
    if (!this.#window.receive(ahead)) throw new ChannelError('end beyond the credit');
    this.#end = offset;
    this.#ackDue = true;
  }

  /** The application has taken bytes. */
  consume(bytes: number, now: Instant, rtt: number | undefined): void {
    this.#consumed += bytes;
    if (this.ended) return;
    const grant = this.#window.consume(bytes, now, rtt);
    if (grant === 0) return;
    this.#granted += grant;
    this.#ackDue = true;
  }

  /** Calling it early or twice does no harm. */
  handleTimeout(now: Instant): void {
    if (this.#ackAt === undefined || this.#ackAt > now) return;
    this.#ackAt = undefined;
    this.#ackDue = true;
  }

  /** What was said so far may have got lost. */
  repeatAck(): void {
    this.#ackDue = true;
  }

  /** @param settled whether it goes where it can be relied on to arrive or be repeated */
  ack(settled: boolean): Buffer {
    if (settled) {
      this.#ackDue = false;
      this.#ackAt = undefined;
      this.#acknowledged = this.#received;
    }
    return encodeAck(this.ended ? this.#received + 1 : this.#received, this.#granted);
  }

  /** The same when no more can come: the window is given back once everything is taken. */
  takeRest(bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed === this.#received) this.#window.close();
  }

  /** Gives the window back. */
  release(): void {
    this.#window.close();
    this.#held.clear();
    this.#ackAt = undefined;
  }

  /** The offset behind the last byte that is known of. */
  get #highest(): number {
    return this.#end ?? (this.#held.length === 0 ? this.#received : this.#heldFrom + this.#held.length);
  }

  /** Bytes from `from` on, ahead of a gap. */
  #hold(from: number, chunk: Buffer): void {
    if (this.#held.length === 0) this.#heldFrom = from;
    const known = this.#heldFrom + this.#held.length - from;
    if (from < this.#heldFrom || known < 0) throw new ChannelError('a second gap');
    // In memory of its own: what a peer may make us hold is to cost no more than its credit.
    if (known < chunk.length) this.#held.push(copyOf(chunk.subarray(known)));
  }

  /** Bytes that are next, and what was held behind them. */
  #deliver(chunk: Buffer, now: Instant, into: Buffer[]): void {
    into.push(chunk);
    this.#received += chunk.length;
    if (this.#held.length > 0 && this.#received >= this.#heldFrom) {
      this.#held.take(this.#received - this.#heldFrom, []);
      this.#received += this.#held.take(Number.POSITIVE_INFINITY, into);
    }
    const fresh = this.#received - this.#acknowledged;
    if (fresh >= Math.min(this.#window.size / 2, MAX_ACK) || this.ended) this.#ackDue = true;
    else this.#acknowledgeBy(now + ACK_DELAY);
  }

  #acknowledgeBy(at: Instant): void {
    if (!this.#ackDue) this.#ackAt ??= at;
  }
}
