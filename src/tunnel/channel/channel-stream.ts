import type { ByteStream, ByteStreamHandler, Carrier } from '../../carrier.ts';
import type { Instant } from '../../machine.ts';
import type { Runtime, Timer } from '../../net/runtime.ts';
import { Channel, type ChannelOptions, type ChannelOutput } from './channel.ts';
import type { LaneKind } from './channel-frame.ts';
import type { ChannelLane } from './channel-lane.ts';

/** What a channel tells the application's side of it. */
export interface ChannelUser {
  onData(chunk: Buffer): void;
  onEnd(): void;
  onDrain(): void;
  /** The channel is over. `code` is undefined when both sides had finished, else why it was reset. */
  onOver(code: number | undefined, problem: string | undefined): void;
}

/** Stands in for the application of a channel that is refused. */
export const NOBODY: ChannelUser = {
  onData: () => {},
  onEnd: () => {},
  onDrain: () => {},
  onOver: () => {},
};

/** What a channel wants to know of a carrier that it has a lane on. The object itself says which carrier it is. */
export interface LaneCarrier {
  readonly kind: Carrier['kind'];
  /** Round-trip time in milliseconds, for tuning the credit; undefined while unknown. */
  readonly rtt: number | undefined;
  /** Nothing is heard on it at the moment. */
  readonly silent: boolean;
}

export interface ChannelStreamOptions extends ChannelOptions {
  readonly user: ChannelUser;
  readonly runtime: Runtime;
  /** The channel is over: the link forgets it. The code is as in ChannelUser's `onOver`. */
  readonly onOver: (code: number | undefined) => void;
  /** A lane is gone while the channel is not over. */
  readonly onLaneLost: (carrier: LaneCarrier) => void;
}

/** Runs a channel over streams of carriers, one for each. */
export class ChannelStream {
  readonly #options: ChannelStreamOptions;
  readonly #channel: Channel;
  /** The newest last. */
  #lanes: readonly Lane[] = [];
  #preferred: LaneCarrier | undefined;
  /** The lane that `sendingOn` found last. */
  #sending: Lane | undefined;
  #timer: Timer | undefined;
  #timerAt: Instant = 0;
  /** Inside `settle`: whoever is outermost sends and reports. */
  #busy = false;
  /** Why the user has reset it, while there was no lane yet to say so on. */
  #resetting: number | undefined;
  #over = false;

  constructor(options: ChannelStreamOptions) {
    this.#options = options;
    this.#channel = new Channel(options, options.runtime.now());
  }

  /** The link has been told that it is over. */
  get over(): boolean {
    return this.#over;
  }

  /** The carrier that it sends on now. */
  get sendingOn(): LaneCarrier | undefined {
    const core = this.#channel.sending;
    if (core !== this.#sending?.core) this.#sending = this.#lanes.find((lane) => lane.core === core);
    return this.#sending?.carrier;
  }

  get laneCount(): number {
    return this.#lanes.length;
  }

  hasLane(carrier: LaneCarrier): boolean {
    return this.#laneOn(carrier) !== undefined;
  }

  /** There is a stream for it on this carrier: instead of the one before, if there was. The opener writes the header. */
  addLane(carrier: LaneCarrier, stream: ByteStream, kind: LaneKind): void {
    if (this.#over) {
      stream.reset();
      return;
    }
    const before = this.#laneOn(carrier);
    const lane = new Lane(this, carrier, stream, this.#channel.addLane(kind));
    this.#lanes = [...this.#lanes, lane];
    if (before !== undefined) {
      before.stream.reset();
      this.#drop(before);
    }
    stream.attach(lane);
    if (this.#resetting !== undefined && this.#lanes.includes(lane)) this.#close(this.#resetting);
    if (this.#over) return;
    if (carrier === this.#preferred) this.prefer(carrier);
    else this.#settle();
  }

  /**
   * Sends on this carrier's lane from now on, or from when there is one: as soon as the peer has been heard there, and at
   * once where the present lane is gone, its carrier is silent, or the peer has found it so.
   */
  prefer(carrier: LaneCarrier): void {
    this.#preferred = carrier;
    const lane = this.#laneOn(carrier);
    if (lane === undefined || this.#channel.over) return;
    const present = this.sendingOn;
    // Who falls back to the relay has found that the direct path carries nothing any more.
    const isFallback = present?.kind === 'direct' && carrier.kind === 'relayed';
    const atOnce = present === undefined || present.silent || isFallback;
    this.#channel.prefer(lane.core, atOnce, this.#options.runtime.now());
    this.#settle();
  }

  /** False: wait for `onDrain` before writing more. */
  write(chunk: Buffer): boolean {
    this.#channel.write(chunk);
    this.#settle();
    return !this.#channel.blocked;
  }

  end(): void {
    this.#channel.end();
    this.#settle();
  }

  /** Without a lane it is over only when there is one to say so on, or with `abandon`. @param code one of ResetCode */
  reset(code: number): void {
    if (this.#channel.over) return;
    this.#channel.reset(code);
    if (this.#lanes.length > 0) this.#close(code);
    else this.#resetting = code;
  }

  /** The channel cannot go on: it is over at once. @param code one of ResetCode */
  abandon(code: number): void {
    if (this.#resetting !== undefined) this.#close(this.#resetting);
    this.#channel.abandon(code);
    this.#settle();
  }

  consume(bytes: number): void {
    this.#channel.consume(bytes, this.#options.runtime.now(), this.sendingOn?.rtt);
    this.#settle();
  }

  /** For its lanes. */
  onData(lane: Lane, chunk: Buffer): void {
    // The channel holds what it cannot pass on, against its own credit: the carrier's window is always free.
    lane.stream.consume(chunk.length);
    this.#channel.receive(lane.core, chunk, this.#options.runtime.now());
    this.#settle();
  }

  /** For its lanes. */
  onGone(lane: Lane): void {
    if (!this.#lanes.includes(lane)) return;
    this.#drop(lane);
    this.#settle();
    if (!this.#over) this.#options.onLaneLost(lane.carrier);
  }

  /** For its lanes: one of them has room. */
  onRoom(): void {
    this.#settle();
  }

  #laneOn(carrier: LaneCarrier): Lane | undefined {
    return this.#lanes.find((lane) => lane.carrier === carrier);
  }

  /** The lane is no more; what it was used for goes to the best of the others. */
  #drop(lane: Lane): void {
    this.#lanes = this.#lanes.filter((one) => one !== lane);
    this.#channel.removeLane(lane.core);
    if (this.#channel.sending !== undefined) return;
    const others = [...this.#lanes].reverse();
    const next =
      others.find(({ carrier }) => carrier === this.#preferred && !carrier.silent) ??
      others.find(({ carrier }) => !carrier.silent) ??
      others[0];
    if (next !== undefined) this.#channel.prefer(next.core, true, this.#options.runtime.now());
  }

  /** Sends and reports until nothing is left to do; calls from inside are folded into the outermost. */
  #settle(): void {
    if (this.#busy) return;
    this.#busy = true;
    do {
      for (let next = this.#channel.pollOutput(); next !== undefined; next = this.#channel.pollOutput()) {
        this.#report(next);
      }
    } while (this.#flush());
    this.#busy = false;
    this.#arm();
  }

  #flush(): boolean {
    let sent = false;
    for (const lane of this.#lanes) {
      while (!lane.full && this.#channel.pending(lane.core)) {
        this.#send(lane);
        sent = true;
      }
    }
    return sent;
  }

  #send(lane: Lane): void {
    const buffers: Buffer[] = [];
    this.#channel.transmit(lane.core, buffers);
    const last = buffers.length - 1;
    for (let i = 0; i <= last; i++) {
      const room = lane.stream.write(buffers[i] as Buffer, i < last);
      if (i === last) lane.full = !room;
    }
  }

  #report(output: ChannelOutput): void {
    const { user } = this.#options;
    switch (output.type) {
      case 'data':
        user.onData(output.chunk);
        break;
      case 'end':
        user.onEnd();
        break;
      case 'drain':
        user.onDrain();
        break;
      case 'called':
        this.#follow(output.lane);
        break;
      case 'finished':
        this.#close(undefined);
        user.onOver(undefined, undefined);
        break;
      case 'reset':
        this.#close(output.code);
        user.onOver(output.code, output.problem);
    }
  }

  #follow(core: ChannelLane): void {
    const lane = this.#lanes.find((one) => one.core === core);
    if (lane !== undefined) this.prefer(lane.carrier);
  }

  /** The last frames go out whether the streams are full or not: nothing follows them. */
  #close(code: number | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#timer?.cancel();
    const lanes = this.#lanes;
    this.#lanes = [];
    for (const lane of lanes) {
      this.#send(lane);
      lane.stream.end();
    }
    this.#options.onOver(code);
  }

  /** A timer that fires early costs one call; another one for every acknowledgement would cost more. */
  #arm(): void {
    const at = this.#over ? undefined : this.#channel.pollTimeout();
    if (at === undefined || (this.#timer !== undefined && this.#timerAt <= at)) return;
    const { runtime } = this.#options;
    this.#timer?.cancel();
    this.#timerAt = at;
    this.#timer = runtime.setTimer(at - runtime.now(), () => {
      this.#timer = undefined;
      this.#channel.handleTimeout(runtime.now());
      this.#settle();
    });
  }
}

/** One stream of a carrier, as a lane of a channel. */
class Lane implements ByteStreamHandler {
  readonly #owner: ChannelStream;
  readonly carrier: LaneCarrier;
  readonly stream: ByteStream;
  readonly core: ChannelLane;
  /** The stream wants nothing more at the moment. */
  full = false;

  constructor(owner: ChannelStream, carrier: LaneCarrier, stream: ByteStream, core: ChannelLane) {
    this.#owner = owner;
    this.carrier = carrier;
    this.stream = stream;
    this.core = core;
  }

  onData(chunk: Buffer): void {
    this.#owner.onData(this, chunk);
  }

  /** A peer that goes on with the channel ends no lane of it. */
  onEnd(): void {
    if (this.#owner.over) return;
    this.stream.reset();
    this.#owner.onGone(this);
  }

  onReset(): void {
    this.#owner.onGone(this);
  }

  onDrain(): void {
    this.full = false;
    this.#owner.onRoom();
  }
}
