import type { Instant } from '../../machine.ts';
import type { Budget } from '../../net/budget.ts';
import { ChannelCalls } from './channel-calls.ts';
import {
  ChannelError,
  type ChannelHeader,
  type ChannelSink,
  encodeChannelHeader,
  encodeReset,
  type LaneKind,
  ResetCode,
} from './channel-frame.ts';
import { ChannelLane } from './channel-lane.ts';
import { ChannelReceiver } from './channel-receiver.ts';
import { ChannelSender } from './channel-sender.ts';

/** What happened on a channel. */
export type ChannelOutput =
  /** Bytes for the application. Give them back with `consume` once it has taken them. */
  | { readonly type: 'data'; readonly chunk: Buffer }
  /** The peer's application has sent its last byte. */
  | { readonly type: 'end' }
  /** The peer that has opened the channel goes to this lane, and expects us there. */
  | { readonly type: 'called'; readonly lane: ChannelLane }
  /** The queue was full and has room again. */
  | { readonly type: 'drain' }
  /** The channel is over: both sides have everything, or it was reset with a code (by the peer, `abandon` or `protocolError`). */
  | { readonly type: 'finished' }
  | { readonly type: 'reset'; readonly code: number; readonly problem?: string };

export interface ChannelOptions {
  /** What the opener writes at the start of every lane; undefined on the side that accepts. */
  readonly opener: Pick<ChannelHeader, 'port' | 'channel'> | undefined;
  /** Where the receive credit comes from: the link's. */
  readonly budget: Budget;
  /** What all channels of the link may keep until their peers have it. */
  readonly sendBudget: Budget;
}

/**
 * One application connection, which outlives the streams ("lanes") that carry it. Bytes are numbered from the channel's
 * start; the sender keeps them until they are acknowledged and sends on one lane at a time, the receiver takes them from
 * all lanes and drops what it has. Feed it what a lane delivers with `receive`, and give the lane what `transmit` yields.
 * A core: it is told the time and does no I/O.
 */
export class Channel implements ChannelSink {
  readonly #opener: Pick<ChannelHeader, 'port' | 'channel'> | undefined;
  readonly #sender: ChannelSender;
  readonly #receiver: ChannelReceiver;
  #lanes: readonly ChannelLane[] = [];
  /** The lane that data goes to. */
  #sending: ChannelLane | undefined;
  /** The lane that it will go to as soon as the peer has been heard there, or has what was sent there in vain. */
  #next: ChannelLane | undefined;
  readonly #calls = new ChannelCalls();
  /** Inside `receive`: where the bytes come from, and when. */
  #from: ChannelLane | undefined;
  #now: Instant;
  #outputs: ChannelOutput[] = [];
  #outputsTaken = 0;
  /** The application has been told of the peer's last byte. */
  #endTold = false;
  #over = false;
  /** What a lane is told when the channel is over. */
  #farewell: 'acknowledgement' | Buffer | undefined;

  constructor({ opener, budget, sendBudget }: ChannelOptions, now: Instant) {
    this.#opener = opener;
    this.#sender = new ChannelSender(sendBudget);
    this.#receiver = new ChannelReceiver(budget, now);
    this.#now = now;
  }

  /** Nothing more happens; `transmit` may still have last frames for the lanes. */
  get over(): boolean {
    return this.#over;
  }

  /** The lane that data goes to. */
  get sending(): ChannelLane | undefined {
    return this.#sending;
  }

  /** There is one more lane; data goes there if it had none to go to. */
  addLane(kind: LaneKind): ChannelLane {
    const lane = new ChannelLane(this);
    if (this.#opener !== undefined) lane.header = encodeChannelHeader({ ...this.#opener, kind });
    if (kind === 'new') {
      lane.position = 0;
      lane.arrived = 0;
      lane.heard = true;
    } else lane.greets = true;
    this.#lanes = [...this.#lanes, lane];
    if (this.#sending !== undefined) return lane;
    if (kind === 'resumed') this.#call(lane);
    this.#move(lane, false);
    return lane;
  }

  /** A lane is gone, with whatever was on its way there. */
  removeLane(lane: ChannelLane): void {
    this.#lanes = this.#lanes.filter((one) => one !== lane);
    if (this.#next === lane) this.#next = undefined;
    if (this.#sending === lane) {
      this.#sending = undefined;
      if (this.#next !== undefined) this.#move(this.#next, false);
    } else this.#sender.lose(lane);
    this.#receiver.repeatAck();
  }

  /**
   * Data is to go to this lane: as soon as the peer has been heard there, and has what was sent there in vain.
   * @param atOnce do not wait: what it goes to now is no good
   */
  prefer(lane: ChannelLane, atOnce: boolean, now: Instant): void {
    this.#now = now;
    if (lane === this.#sending && this.#next === undefined) return;
    if (lane !== this.#next) this.#call(lane);
    if (lane === this.#sending) this.#next = undefined;
    else if (atOnce || this.#sending === undefined) this.#move(lane, false);
    else if (lane.heard && !lane.doubted) this.#move(lane, true);
    else this.#next = lane;
  }

  /** Queues the application's bytes. Ask `blocked` before writing more. */
  write(chunk: Buffer): void {
    if (!this.#over) this.#sender.write(chunk);
  }

  /** Whether the queue is full; `drain` follows. */
  get blocked(): boolean {
    return this.#sender.blocked && !this.#over;
  }

  /** The application will write no more. */
  end(): void {
    this.#sender.end();
  }

  /** Ends the channel at once, both ways, and tells the peer why. No more outputs follow. */
  reset(code: number): void {
    if (this.#over) return;
    this.#outputs = [];
    this.#outputsTaken = 0;
    this.#close(encodeReset(code));
  }

  /** The same, but the application has to be told. */
  abandon(code: number): void {
    if (this.#over) return;
    this.#outputs.push({ type: 'reset', code });
    this.#close(encodeReset(code));
  }

  /** The application has taken bytes: the peer may send as many again. */
  consume(bytes: number, now: Instant, rtt: number | undefined): void {
    if (this.#over) this.#receiver.takeRest(bytes);
    else this.#receiver.consume(bytes, now, rtt);
  }

  /** Bytes have arrived on a lane. */
  receive(lane: ChannelLane, chunk: Buffer, now: Instant): void {
    if (this.#over) return;
    this.#from = lane;
    this.#now = now;
    try {
      lane.decoder.decode(chunk);
    } catch (error) {
      if (!(error instanceof ChannelError)) throw error;
      // What follows the end of a channel means nothing.
      if (!this.#over) this.#offend(error.message);
    }
  }

  pollOutput(): ChannelOutput | undefined {
    if (this.#outputsTaken < this.#outputs.length) return this.#outputs[this.#outputsTaken++];
    if (this.#outputsTaken > 0) this.#outputs = [];
    this.#outputsTaken = 0;
    return undefined;
  }

  pollTimeout(): Instant | undefined {
    if (this.#over) return undefined;
    const [ackAt, gapAt] = [this.#receiver.ackAt, this.#sender.pollTimeout()];
    return ackAt !== undefined && gapAt !== undefined ? Math.min(ackAt, gapAt) : (ackAt ?? gapAt);
  }

  handleTimeout(now: Instant): void {
    this.#sender.handleTimeout(now);
    this.#receiver.handleTimeout(now);
  }

  /** Whether `transmit` has something to yield for this lane. */
  pending(lane: ChannelLane): boolean {
    if (lane.header !== undefined) return true;
    if (this.#over) return this.#owesFarewell(lane);
    if (lane.greets || this.#calls.pending(lane)) return true;
    return lane === this.#sending && (this.#receiver.ackDue || this.#sender.pending);
  }

  /** Appends what is to be written to the lane now, one data frame at most. */
  transmit(lane: ChannelLane, into: Buffer[]): void {
    if (lane.header !== undefined) into.push(lane.header);
    lane.header = undefined;
    if (this.#over) {
      this.#transmitFarewell(lane, into);
      return;
    }
    const isSending = lane === this.#sending;
    if (lane.greets || (isSending && this.#receiver.ackDue)) this.#acknowledge(lane, into);
    this.#calls.transmit(lane, into);
    if (!isSending) return;
    this.#sender.transmit(lane, into);
    this.#unblock();
  }

  onData(chunk: Buffer): void {
    if (this.#over) return;
    const fresh: Buffer[] = [];
    this.#receiver.onData(this.#lane, chunk, this.#now, fresh);
    for (const bytes of fresh) this.#outputs.push({ type: 'data', chunk: bytes });
    this.#tellEnd();
  }

  onAck(received: number, limit: number): void {
    if (this.#over) return;
    const lane = this.#lane;
    lane.heard = true;
    this.#sender.onAck(received, limit);
    this.#unblock();
    if (this.#next === lane && !lane.doubted) this.#move(lane, true);
    this.#finishIfDone();
  }

  onSeek(offset: number): void {
    if (!this.#over) this.#receiver.onSeek(this.#lane, offset);
  }

  onPing(number: number): void {
    if (this.#over) return;
    const lane = this.#lane;
    if (this.#calls.onPing(lane, number) && this.#opener === undefined)
      this.#outputs.push({ type: 'called', lane });
  }

  onPong(number: number): void {
    const lane = this.#lane;
    if (!this.#over && this.#calls.onPong(lane, number) && this.#next === lane) this.#move(lane, true);
  }

  onFin(offset: number): void {
    if (this.#over) return;
    this.#receiver.onFin(this.#lane, offset);
    this.#tellEnd();
  }

  onReset(code: number): void {
    if (this.#over) return;
    // Whoever has finished has our FIN and everything before it; only its acknowledgement did not come.
    if (code === ResetCode.finished) {
      if (!this.#sender.finSent || !this.#receiver.ended)
        throw new ChannelError('finished before both ends were');
      this.#finish();
    } else {
      this.#outputs.push({ type: 'reset', code });
      this.#close(undefined);
    }
  }

  get #lane(): ChannelLane {
    if (this.#from === undefined) throw new Error('no lane delivers anything');
    return this.#from;
  }

  /** Asks whether the peer has come so far on this lane; and the opener tells it so where to go. */
  #call(lane: ChannelLane): void {
    if (this.#opener !== undefined || lane.doubted) this.#calls.call(lane);
  }

  /** @param isReliable what is on its way on the present lane will arrive */
  #move(lane: ChannelLane, isReliable: boolean): void {
    const before = this.#sending;
    this.#sending = lane;
    this.#next = undefined;
    this.#sender.move(before, isReliable, this.#now);
    // Whatever is on its way there already, all that counts from now on comes behind it.
    lane.doubted = false;
    // A lane that greets says all there is to say, and at the start there is nothing.
    if (!lane.greets && this.#lanes.length > 1) this.#receiver.repeatAck();
  }

  #acknowledge(lane: ChannelLane, into: Buffer[]): void {
    lane.greets = false;
    lane.endAcknowledged = this.#receiver.ended;
    into.push(this.#receiver.ack(lane === this.#sending));
  }

  #unblock(): void {
    if (this.#sender.unblock()) this.#outputs.push({ type: 'drain' });
  }

  #tellEnd(): void {
    if (this.#endTold || !this.#receiver.ended) return;
    this.#endTold = true;
    this.#outputs.push({ type: 'end' });
    this.#finishIfDone();
  }

  #finishIfDone(): void {
    if (this.#sender.finAcknowledged && this.#receiver.ended) this.#finish();
  }

  #finish(): void {
    this.#outputs.push({ type: 'finished' });
    this.#over = true;
    this.#farewell = 'acknowledgement';
    this.#sender.clear();
    // The application still gets what it has not taken yet: that stays on the link's account.
    this.#receiver.takeRest(0);
  }

  #offend(problem: string): void {
    this.#outputs.push({ type: 'reset', code: ResetCode.protocolError, problem });
    this.#close(encodeReset(ResetCode.protocolError));
  }

  #close(farewell: Buffer | undefined): void {
    this.#over = true;
    this.#farewell = farewell;
    this.#sender.clear();
    this.#receiver.release();
  }

  #owesFarewell(lane: ChannelLane): boolean {
    if (lane.closed || this.#farewell === undefined) return false;
    return this.#farewell !== 'acknowledgement' || !lane.endAcknowledged;
  }

  #transmitFarewell(lane: ChannelLane, into: Buffer[]): void {
    if (!this.#owesFarewell(lane) || this.#farewell === undefined) return;
    lane.closed = true;
    // Whichever lane is the faster one tells the peer that it has finished, too.
    if (this.#farewell === 'acknowledgement') this.#acknowledge(lane, into);
    else into.push(this.#farewell);
  }
}
