import type { ByteStream } from '../../carrier.ts';
import { UnderpassError } from '../../errors.ts';
import { Budget } from '../../net/budget.ts';
import type { Runtime, Timer } from '../../net/runtime.ts';
import { type ChannelHeader, type LaneKind, ResetCode } from '../channel/channel-frame.ts';
import { readOpening, refuseLane } from '../channel/channel-opening.ts';
import { ChannelStream, type ChannelUser } from '../channel/channel-stream.ts';
import { EndedChannels } from '../channel/ended-channels.ts';
import type { LinkCarrier } from './link-carrier.ts';

/** Streams of one channel that may be lost in a row although their carrier lives: a peer that resets them does not want it. */
const MAX_LOST = 4;

/** How long the opener may take at least to go on with a channel elsewhere, however short the grace is: milliseconds. */
const MIN_ORPHANED = 5000;

/** The peer has opened a channel: `accept` makes it. Has to be called at once; reset what comes of it if it is not wanted. */
export type AcceptChannel = (header: ChannelHeader, accept: (user: ChannelUser) => ChannelStream) => void;

export interface LinkChannelsOptions {
  /** The tunnel's name, for error messages. */
  readonly name: string;
  readonly runtime: Runtime;
  readonly maxChannels: number;
  /** How long a channel may be without a stream, milliseconds. */
  readonly grace: number;
  /** Bytes that all channels may hold each way. */
  readonly buffers: number;
  /** Undefined on a subscriber, whose peer opens none. */
  readonly onChannel?: AcceptChannel | undefined;
  /** The peer has broken the protocol, outside of any channel. */
  readonly onOffence?: ((problem: string) => void) | undefined;
}

interface Entry {
  readonly id: bigint;
  readonly port: number;
  readonly channel: ChannelStream;
  /** Streams lost on the active carrier. */
  lost: number;
  /** Until then the peer may go on with it. */
  orphaned: Timer | undefined;
}

/** The channels of a link. They go from carrier to carrier; who has opened them opens a stream for each on whatever is active. */
export class LinkChannels {
  readonly #options: LinkChannelsOptions;
  readonly #budget: Budget;
  readonly #sendBudget: Budget;
  readonly #channels = new Map<bigint, Entry>();
  readonly #ended = new EndedChannels();
  #active: LinkCarrier | undefined;
  #nextId = 0n;
  #mending = false;
  #over = false;

  constructor(options: LinkChannelsOptions) {
    this.#options = options;
    this.#budget = new Budget(options.buffers);
    this.#sendBudget = new Budget(options.buffers);
  }

  get count(): number {
    return this.#channels.size;
  }

  /** Opens a channel to the offered port with this number. Throws `peer_lost` or `too_many_channels`. */
  open(port: number, user: ChannelUser): ChannelStream {
    const { name, maxChannels } = this.#options;
    const active = this.#active;
    if (active?.carrier === undefined || this.#over) throw new UnderpassError('peer_lost', { name });
    if (this.#channels.size >= maxChannels) throw new UnderpassError('too_many_channels');
    const stream = active.carrier.open();
    const { channel } = this.#add(this.#nextId++, port, user, true);
    channel.addLane(active, stream, 'new');
    return channel;
  }

  /** The peer has opened a stream. */
  onStream(from: LinkCarrier, stream: ByteStream): void {
    const accept = (header: ChannelHeader, rest: ByteStream) => this.#onOpening(from, header, rest);
    if (this.#options.onChannel === undefined || this.#over) stream.reset();
    else readOpening(stream, this.#options.runtime, accept, this.#onBad);
  }

  /** From now on channels go through this carrier; undefined while there is none. */
  moveTo(active: LinkCarrier | undefined): void {
    const isAnother = active !== this.#active;
    this.#active = active;
    if (active === undefined) return;
    for (const entry of [...this.#channels.values()]) {
      if (isAnother) entry.lost = 0;
      this.#lay(entry, active);
    }
  }

  /** The link is over, and its channels with it. */
  abandon(): void {
    this.#over = true;
    for (const { channel } of [...this.#channels.values()]) channel.abandon(ResetCode.closed);
  }

  #onOpening(from: LinkCarrier, header: ChannelHeader, stream: ByteStream): void {
    const known = this.#channels.get(header.channel);
    const code = this.#ended.codeOf(header.channel);
    if (this.#over) stream.reset();
    else if (known !== undefined) this.#resume(known, from, header.kind, stream);
    else if (code !== undefined) refuseLane(stream, code);
    else this.#accept(from, header, stream);
  }

  readonly #onBad = (problem: string | undefined): void => {
    if (problem !== undefined) this.#options.onOffence?.(problem);
  };

  /** One more lane. The opener calls there when the channel is to go that way. */
  #resume(entry: Entry, from: LinkCarrier, kind: LaneKind, stream: ByteStream): void {
    if (entry.channel.hasLane(from)) {
      stream.reset();
      return;
    }
    entry.orphaned?.cancel();
    entry.channel.addLane(from, stream, kind);
  }

  /** The stream of a new channel, or the first that has come through of one that was. */
  #accept(from: LinkCarrier, header: ChannelHeader, stream: ByteStream): void {
    const { onChannel, maxChannels } = this.#options;
    const { channel: id, port, kind } = header;
    if (this.#channels.size >= maxChannels) {
      this.#ended.add(id, ResetCode.tooManyChannels);
      refuseLane(stream, ResetCode.tooManyChannels);
      return;
    }
    onChannel?.(header, (user) => {
      const { channel } = this.#add(id, port, user, false);
      channel.addLane(from, stream, kind);
      return channel;
    });
  }

  #add(id: bigint, port: number, user: ChannelUser, isOurs: boolean): Entry {
    const channel = new ChannelStream({
      opener: isOurs ? { port, channel: id } : undefined,
      user,
      budget: this.#budget,
      sendBudget: this.#sendBudget,
      runtime: this.#options.runtime,
      onOver: (code) => {
        entry.orphaned?.cancel();
        this.#channels.delete(id);
        this.#ended.add(id, code);
      },
      onLaneLost: (carrier) => this.#onLaneLost(entry, carrier as LinkCarrier),
    });
    const entry: Entry = { id, port, channel, lost: 0, orphaned: undefined };
    this.#channels.set(id, entry);
    return entry;
  }

  #onLaneLost(entry: Entry, carrier: LinkCarrier): void {
    const { runtime, grace } = this.#options;
    if (carrier.gone === undefined && carrier === this.#active) entry.lost += 1;
    if (entry.channel.sendingOn === undefined) {
      entry.orphaned?.cancel();
      const time = Math.max(grace, MIN_ORPHANED);
      entry.orphaned = runtime.setTimer(time, () => entry.channel.abandon(ResetCode.closed));
    }
    // A carrier that dies loses its streams first: what takes its place is known when all of them are gone.
    if (this.#mending) return;
    this.#mending = true;
    queueMicrotask(() => {
      this.#mending = false;
      if (!this.#over) this.moveTo(this.#active);
    });
  }

  /** Sees to it that the channel goes through this carrier. */
  #lay(entry: Entry, carrier: LinkCarrier): void {
    const { channel } = entry;
    const isOpener = this.#options.onChannel === undefined;
    if (isOpener && !channel.hasLane(carrier)) this.#open(entry, carrier);
    if (!channel.over) channel.prefer(carrier);
  }

  #open(entry: Entry, carrier: LinkCarrier): void {
    if (entry.lost > MAX_LOST) {
      entry.channel.abandon(ResetCode.closed);
      return;
    }
    const stream = openOn(carrier);
    if (stream === undefined) return;
    entry.orphaned?.cancel();
    entry.channel.addLane(carrier, stream, 'resumed');
  }
}

/** A stream on a carrier that may be full, or in the midst of dying: then there is none, and the grace decides. */
function openOn({ carrier, gone }: LinkCarrier): ByteStream | undefined {
  if (carrier === undefined || gone !== undefined) return undefined;
  try {
    return carrier.open();
  } catch (error) {
    if (error instanceof UnderpassError) return undefined;
    throw error;
  }
}
