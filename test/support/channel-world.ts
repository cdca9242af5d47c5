import { Budget } from '../../src/net/budget.ts';
import { Channel } from '../../src/tunnel/channel/channel.ts';
import {
  CHANNEL_HEADER_SIZE,
  decodeChannelHeader,
  encodeReset,
  INITIAL_CREDIT,
  type LaneKind,
  ResetCode,
} from '../../src/tunnel/channel/channel-frame.ts';
import type { ChannelLane } from '../../src/tunnel/channel/channel-lane.ts';
import { header } from './lone-channel.ts';
import type { Random } from './random.ts';
import { ensure } from './seeds.ts';
import { patternAt } from './session-world.ts';

/** A stream in memory, between the opener (0) and the acceptor (1). */
export class Cable {
  readonly kind: LaneKind;
  /** What each side has sent and the other has not received. */
  readonly inFlight: [Buffer[], Buffer[]] = [[], []];
  /** Nothing arrives any more, and what was on its way is gone. */
  cut = false;
  /** The acceptor has read the header. */
  accepted = false;

  constructor(kind: LaneKind) {
    this.kind = kind;
  }

  /** Takes up to `limit` bytes off what this side has sent. */
  take(side: number, limit: number): Buffer[] {
    const waiting = this.inFlight[side as 0 | 1];
    const taken: Buffer[] = [];
    for (let left = limit; left > 0 && waiting.length > 0; ) {
      const chunk = waiting[0] as Buffer;
      if (chunk.length > left) waiting[0] = chunk.subarray(left);
      else waiting.shift();
      taken.push(chunk.subarray(0, left));
      left -= Math.min(left, chunk.length);
    }
    return taken;
  }

  lose(): void {
    this.cut = true;
    this.inFlight[0].length = 0;
    this.inFlight[1].length = 0;
  }
}

/** One side of a channel with a book of what went through it. */
export class End {
  readonly budget: Budget;
  readonly sendBudget: Budget;
  readonly channel: Channel;
  readonly lanes = new Map<Cable, ChannelLane>();
  readonly side: 0 | 1;
  written = 0;
  ended = false;
  read = 0;
  unconsumed = 0;
  endSeen = false;
  over: string | undefined;
  /** The lane that it was last told to prefer. */
  preferred: ChannelLane | undefined;
  now = 0;
  /** The application takes everything at once, so that the credit grows. */
  readonly #greedy: boolean;

  constructor(side: 0 | 1, random: Random) {
    this.side = side;
    this.budget = new Budget(random.pick([100_000, 1 << 26]));
    this.sendBudget = new Budget(random.pick([50_000, 1 << 26]));
    this.#greedy = random.integer(2) === 0;
    const opener = side === 0 ? header : undefined;
    this.channel = new Channel({ opener, budget: this.budget, sendBudget: this.sendBudget }, 0);
  }

  write(length: number): void {
    if (this.ended || this.over !== undefined || this.channel.blocked) return;
    const chunk = patternAt(this.written, length);
    this.channel.write(chunk);
    this.written += chunk.length;
  }

  end(): void {
    this.ended = true;
    this.channel.end();
  }

  consume(bytes: number, now: number): void {
    const taken = Math.min(bytes, this.unconsumed);
    if (taken === 0) return;
    this.unconsumed -= taken;
    this.channel.consume(taken, now, 10);
  }

  join(cable: Cable): void {
    if (this.over === 'finished') cable.inFlight[this.side].push(encodeReset(ResetCode.finished));
    else if (this.over !== undefined) cable.inFlight[this.side].push(encodeReset(ResetCode.closed));
    else this.lanes.set(cable, this.channel.addLane(cable.kind));
  }

  /** Says whether there was something. */
  transmit(cable: Cable): boolean {
    const lane = this.lanes.get(cable);
    if (lane === undefined || !this.channel.pending(lane)) return false;
    const buffers: Buffer[] = [];
    this.channel.transmit(lane, buffers);
    ensure(buffers.length > 0, 'what is pending is there');
    if (!cable.cut) cable.inFlight[this.side].push(...buffers);
    this.report();
    return true;
  }

  prefer(lane: ChannelLane, atOnce: boolean): void {
    this.preferred = lane;
    this.channel.prefer(lane, atOnce, this.now);
  }

  receive(cable: Cable, limit: number, now: number): void {
    this.now = now;
    let pieces = cable.take(1 - this.side, limit);
    if (this.side === 1 && !cable.accepted) {
      const bytes = Buffer.concat(pieces);
      if (bytes.length < CHANNEL_HEADER_SIZE) {
        if (bytes.length > 0) cable.inFlight[0].unshift(bytes);
        return;
      }
      cable.accepted = true;
      ensure(decodeChannelHeader(bytes).kind === cable.kind, 'the header says what lane it is');
      this.join(cable);
      pieces = [bytes.subarray(CHANNEL_HEADER_SIZE)];
    }
    const lane = this.lanes.get(cable);
    for (const piece of pieces) {
      if (lane === undefined || piece.length === 0) continue;
      this.channel.receive(lane, piece, now);
      this.report();
      if (this.#greedy) this.consume(this.unconsumed, now);
    }
  }

  report(): void {
    for (let output = this.channel.pollOutput(); output; output = this.channel.pollOutput()) {
      ensure(this.over === undefined, `nothing follows ${this.over}`);
      if (output.type === 'data') {
        ensure(!this.endSeen, 'no data follows the end');
        ensure(output.chunk.equals(patternAt(this.read, output.chunk.length)), 'the bytes are right');
        this.read += output.chunk.length;
        this.unconsumed += output.chunk.length;
      } else if (output.type === 'called') this.prefer(output.lane, false);
      else if (output.type === 'end') this.endSeen = true;
      else if (output.type === 'finished') this.over = 'finished';
      else if (output.type === 'reset') this.over = output.problem ?? `reset ${output.code}`;
    }
  }
}

/** Two ends of a channel, and cables that come and go between them. */
export class ChannelWorld {
  readonly random: Random;
  /** Its users write so much at a time that there are several frames of it. */
  readonly #isBulky: boolean;
  readonly ends: readonly [End, End];
  cables: Cable[] = [];
  now = 0;

  constructor(random: Random) {
    this.random = random;
    this.#isBulky = random.integer(4) === 0;
    this.ends = [new End(0, random), new End(1, random)];
    this.plug('new');
  }

  /** The opener opens a lane. */
  plug(kind: LaneKind): void {
    const cable = new Cable(kind);
    this.cables.push(cable);
    this.ends[0].lanes.set(cable, this.ends[0].channel.addLane(kind));
  }

  /** One side finds that a cable is cut. */
  notice(end: End, cable: Cable): void {
    const lane = end.lanes.get(cable);
    if (lane === undefined || !cable.cut) return;
    end.lanes.delete(cable);
    end.channel.removeLane(lane);
    const [other] = end.lanes.values();
    if (end.channel.sending === undefined && other !== undefined) end.prefer(other, true);
    end.report();
  }

  /** Something happens that can happen to a channel. */
  step(): void {
    const { random } = this;
    const end = this.ends[random.integer(2) as 0 | 1];
    const cable = this.cables[random.integer(this.cables.length)] as Cable;
    const lane = end.lanes.get(cable);
    switch (random.integer(16)) {
      case 0:
        if (random.integer(5) === 0) end.end();
        break;
      case 1:
        end.consume(random.integer(100_000), this.now);
        break;
      case 2:
        this.pass(random.pick([1, 30, 100, 1000]));
        break;
      case 3:
        // What is lost is lost behind what has arrived.
        if (random.integer(2) === 0) cable.lose();
        break;
      case 4:
        this.notice(end, cable);
        break;
      case 5:
        if (this.ends[0].lanes.size < 4 && this.ends[0].over === undefined) this.plug('resumed');
        break;
      case 6:
        if (lane !== undefined) end.prefer(lane, random.integer(2) === 0);
        break;
      case 7:
      case 8:
      case 9:
        for (const one of end.lanes.keys()) end.transmit(one);
        break;
      case 10:
      case 11:
      case 12:
        end.receive(cable, random.pick([1, 7, 20, 5000, 1 << 20]), this.now);
        break;
      default:
        end.write(this.#isBulky ? 80_000 : random.pick([1, 1, 50, 50, 3000, 3000, 30_000, 80_000]));
    }
  }

  /** Time passes. */
  pass(milliseconds: number): void {
    this.now += milliseconds;
    for (const end of this.ends) {
      end.now = this.now;
      end.channel.handleTimeout(this.now);
    }
  }

  check(): void {
    for (const { unconsumed, budget, sendBudget, written, over, side } of this.ends) {
      const other = this.ends[(1 - side) as 0 | 1];
      ensure(over === undefined || over === 'finished', `nobody has offended: ${over}`);
      ensure(
        over === undefined || (other.written === this.ends[side].read && this.ends[side].endSeen),
        'it is over after the end',
      );
      ensure(unconsumed <= budget.used, 'what is held is in the budget');
      ensure(budget.used <= Math.max(budget.total, INITIAL_CREDIT), 'the budget holds');
      ensure(over !== undefined || written - other.read <= sendBudget.used, 'what may be lost is kept');
      ensure(sendBudget.used <= sendBudget.total + 80_000, 'the writer was stopped');
    }
  }

  /** Nothing is cut any more, and everything that can happen does. */
  settle(): void {
    const [opener, acceptor] = this.ends;
    for (const end of this.ends) for (const cable of [...end.lanes.keys()]) this.notice(end, cable);
    for (let idle = 0; idle < 8; idle++) {
      if (opener.over === undefined && opener.lanes.size === 0) this.plug('resumed');
      this.pass(100);
      for (const end of this.ends) {
        for (const cable of this.cables) {
          while (end.transmit(cable)) idle = 0;
          this.ends[(1 - end.side) as 0 | 1].receive(cable, Number.POSITIVE_INFINITY, this.now);
        }
        end.consume(Number.POSITIVE_INFINITY, this.now);
      }
      this.check();
    }
    for (const { over, preferred, lanes, channel } of this.ends) {
      const isThere = preferred !== undefined && [...lanes.values()].includes(preferred);
      ensure(over !== undefined || !isThere || channel.sending === preferred, 'it sends where it is to');
    }
    // Its link finds that nobody comes back for it: the last acknowledgement was lost.
    if (opener.over === 'finished' && acceptor.over === undefined && acceptor.lanes.size === 0) {
      ensure(acceptor.ended && acceptor.endSeen, 'both have said everything');
      acceptor.channel.abandon(ResetCode.closed);
      acceptor.over = 'finished';
      while (acceptor.channel.pollOutput() !== undefined);
    }
  }
}
