import type { Instant } from '../../machine.ts';
import type { Budget } from '../../net/budget.ts';
import { RetainedQueue } from '../../net/retained-queue.ts';
import {
  ChannelError,
  ChannelFrame,
  encodeDataHeader,
  encodeOffset,
  INITIAL_CREDIT,
  MAX_DATA,
} from './channel-frame.ts';

/** Bytes waiting for credit or for a lane, at which the application is told to wait. */
const SEND_MARK = 64 * 1024;

/** How long what is on its way on the lane before the present one may take to be acknowledged, milliseconds. */
const GAP_PATIENCE = 1000;

/** What a sender knows of a lane. */
export interface SendingLane {
  /** Where the next DATA begins in the peer's eyes; undefined until SEEK has said it. */
  position: number | undefined;
  /** What is on its way there has been sent elsewhere as well: it comes first, and is of no use. */
  doubted: boolean;
}

/** The sending half of a channel: what the application wrote is kept until the peer has acknowledged it. */
export class ChannelSender {
  readonly #budget: Budget;
  readonly #queue: RetainedQueue;
  /** Up to where the peer lets us send. */
  #limit = INITIAL_CREDIT;
  /** The highest offset that has been sent on any lane. */
  #sent = 0;
  /** What was sent from there on has all gone to the present lane, in order. */
  #laneFrom = 0;
  /** The lane that still carries what is before that, and how long we wait for it. */
  #gap: { readonly lane: SendingLane; readonly until: Instant } | undefined;
  #ending = false;
  /** FIN is on its way: on any lane, and since bytes were last repeated. */
  #finSent = false;
  #finOnLane = false;
  #finAcknowledged = false;
  #blocked = false;

  constructor(budget: Budget) {
    this.#budget = budget;
    this.#queue = new RetainedQueue();
  }

  /** The application's last byte and its FIN have been sent, once at least. */
  get finSent(): boolean {
    return this.#finSent;
  }

  /** The peer has everything. */
  get finAcknowledged(): boolean {
    return this.#finAcknowledged;
  }

  /** Whether the writer was told to wait. */
  get blocked(): boolean {
    return this.#blocked;
  }

  write(chunk: Buffer): void {
    if (this.#ending || chunk.length === 0) return;
    this.#queue.push(chunk);
    this.#budget.take(chunk.length);
    if (this.#queue.ahead >= SEND_MARK || this.#budget.overdraft > 0) this.#blocked = true;
  }

  end(): void {
    this.#ending = true;
  }

  /** Whether the writer that was told to wait may go on; says so once. */
  unblock(): boolean {
    if (!this.#blocked) return false;
    // With nothing of its own in the budget a writer goes on, or the others' could stop it for good.
    const hasRoom =
      this.#queue.length === 0 || (this.#queue.ahead <= SEND_MARK / 2 && this.#budget.overdraft === 0);
    if (hasRoom) this.#blocked = false;
    return hasRoom;
  }

  /** Whether there is something to send on the present lane. */
  get pending(): boolean {
    if (this.#queue.ahead > 0) return this.#queue.cursor < this.#limit;
    return this.#ending && !this.#finOnLane && !this.#finAcknowledged;
  }

  /**
   * From now on another lane is the present one. If the one before can be relied on to deliver what it has, the new one goes
   * on where that has stopped. Otherwise, and as there is one such gap at a time, everything that is not acknowledged goes there once more.
   */
  move(before: SendingLane | undefined, isReliable: boolean, now: Instant): void {
    if (before === undefined || !isReliable || this.#finOnLane || this.#queue.start < this.#laneFrom) {
      if (before !== undefined) before.doubted = true;
      this.#repeat();
      return;
    }
    this.#laneFrom = this.#sent;
    if (this.#queue.start < this.#laneFrom) this.#gap = { lane: before, until: now + GAP_PATIENCE };
  }

  /** A lane other than the present one is gone, with what was on its way there. */
  lose(lane: SendingLane): void {
    if (this.#gap?.lane === lane) this.#repeat();
  }

  /** When `handleTimeout` has something to do. */
  pollTimeout(): Instant | undefined {
    return this.#gap?.until;
  }

  /** Calling it early or twice does no harm. */
  handleTimeout(now: Instant): void {
    if (this.#gap !== undefined && this.#gap.until <= now) this.#repeat();
  }

  /** Appends SEEK where the lane is elsewhere, one DATA frame at most, and FIN behind the last byte. */
  transmit(lane: SendingLane, into: Buffer[]): void {
    if (!this.pending) return;
    const { cursor } = this.#queue;
    // An acknowledgement that came by another lane can have moved the cursor.
    if (lane.position !== cursor) into.push(encodeOffset(ChannelFrame.seek, cursor));
    const allowed = Math.min(MAX_DATA, this.#limit - cursor, this.#queue.ahead);
    if (allowed > 0) {
      into.push(encodeDataHeader(allowed));
      this.#queue.take(allowed, into);
    }
    lane.position = this.#queue.cursor;
    this.#sent = Math.max(this.#sent, this.#queue.cursor);
    if (this.#ending && this.#queue.ahead === 0) {
      into.push(encodeOffset(ChannelFrame.fin, this.#queue.end));
      this.#finSent = true;
      this.#finOnLane = true;
    }
  }

  /** Throws ChannelError when the peer acknowledges what it cannot have. */
  onAck(received: number, limit: number): void {
    const { end } = this.#queue;
    const most = this.#finSent ? end + 1 : this.#sent;
    if (received > most) throw new ChannelError(`${received} bytes acknowledged of ${most}`);
    if (limit > this.#limit) this.#limit = limit;
    this.#budget.release(this.#queue.acknowledge(Math.min(received, end)));
    if (this.#queue.start >= this.#laneFrom) this.#gap = undefined;
    if (received > end) this.#finAcknowledged = true;
  }

  /** Forgets what it kept. */
  clear(): void {
    this.#budget.release(this.#queue.length);
    this.#queue.clear();
    this.#gap = undefined;
  }

  /** Everything that is not acknowledged is sent once more. */
  #repeat(): void {
    if (this.#gap !== undefined) this.#gap.lane.doubted = true;
    this.#gap = undefined;
    this.#queue.rewind();
    this.#finOnLane = false;
    this.#laneFrom = this.#sent;
  }
}
