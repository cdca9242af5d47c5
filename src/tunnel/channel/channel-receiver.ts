import type { Instant } from '../../machine.ts';
import type { Budget } from '../../net/budget.ts';
import { FlowWindow } from '../../net/flow-window.ts';
import { ChannelError, encodeAck, INITIAL_CREDIT } from './channel-frame.ts';

/** How far a channel's credit grows, while the link's budget has it. */
const MAX_CREDIT = 16 * 1024 * 1024;

/** New bytes that are acknowledged at once: a quarter of the window, within these bounds. */
const MIN_ACK = 16 * 1024;
const MAX_ACK = 1024 * 1024;

/** How long fewer bytes wait for their acknowledgement, milliseconds. */
const ACK_DELAY = 100;

/** Where the next DATA of a lane begins; undefined until the peer's SEEK has said it. */
export interface ReceivePosition {
  arrived: number | undefined;
}

/** The receiving half of a channel: puts the bytes of all lanes in order, grants credit and decides when to acknowledge. */
export class ChannelReceiver {
  readonly #window: FlowWindow;
  /** Everything below is here. */
  #received = 0;
  #consumed = 0;
  /** Up to where the peer may send. */
  #granted = INITIAL_CREDIT;
  #ended = false;
  /** What the last ACK said is here. */
  #acknowledged = 0;
  #ackDue = false;
  #ackAt: Instant | undefined;

  constructor(budget: Budget, now: Instant) {
    this.#window = new FlowWindow({ initial: INITIAL_CREDIT, maximum: MAX_CREDIT, budget }, now);
  }

  /** The peer's last byte is here. */
  get ended(): boolean {
    return this.#ended;
  }

  /** An ACK has to go out now. */
  get ackDue(): boolean {
    return this.#ackDue;
  }

  /** When one has to, at the latest. */
  get ackAt(): Instant | undefined {
    return this.#ackAt;
  }

  /** The next bytes of a lane. Returns those that are new. Throws ChannelError. */
  onData(lane: ReceivePosition, chunk: Buffer, now: Instant): Buffer | undefined {
    const from = lane.arrived;
    if (from === undefined) throw new ChannelError('data before its offset');
    const to = from + chunk.length;
    lane.arrived = to;
    const fresh = to - this.#received;
    if (fresh <= 0) {
      // The peer may not know that it is here.
      this.#acknowledgeBy(now + ACK_DELAY);
      return undefined;
    }
    if (this.#ended) throw new ChannelError('data after the end');
    if (!this.#window.receive(fresh)) throw new ChannelError('data beyond the credit');
    this.#received = to;
    if (to - this.#acknowledged >= Math.min(Math.max(this.#window.size / 4, MIN_ACK), MAX_ACK))
      this.#ackDue = true;
    else this.#acknowledgeBy(now + ACK_DELAY);
    return fresh === chunk.length ? chunk : chunk.subarray(chunk.length - fresh);
  }

  /** Throws ChannelError unless the bytes from there on are new or known. */
  onSeek(lane: ReceivePosition, offset: number): void {
    if (offset > this.#received) throw new ChannelError(`goes on at ${offset}, not ${this.#received}`);
    lane.arrived = offset;
  }

  /** Returns whether that is news. Throws ChannelError when the lane or the channel is elsewhere. */
  onFin(lane: ReceivePosition, offset: number): boolean {
    if (offset !== lane.arrived || offset !== this.#received)
      throw new ChannelError(`end at ${offset}, not ${this.#received}`);
    this.#ackDue = true;
    const isNews = !this.#ended;
    this.#ended = true;
    return isNews;
  }

  /** The application has taken bytes. */
  consume(bytes: number, now: Instant, rtt: number | undefined): void {
    this.#consumed += bytes;
    if (this.#ended) return;
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
    return encodeAck(this.#ended ? this.#received + 1 : this.#received, this.#granted);
  }

  /** The same when no more can come: the window is given back once everything is taken. */
  takeRest(bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed === this.#received) this.#window.close();
  }

  /** Gives the window back. */
  release(): void {
    this.#window.close();
    this.#ackAt = undefined;
  }

  #acknowledgeBy(at: Instant): void {
    if (!this.#ackDue) this.#ackAt ??= at;
  }
}
