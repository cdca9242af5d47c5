import type { ByteStream, Carrier, CarrierHandler } from '../carrier.ts';
import { UnderpassError } from '../errors.ts';
import { Budget } from '../net/budget.ts';
import type { Runtime } from '../net/runtime.ts';
import { ResetCode } from './channel-frame.ts';
import { ChannelStream, type ChannelUser } from './channel-stream.ts';

/** Channels that a link carries at a time, unless the server asks for fewer. */
export const MAX_CHANNELS = 1024;

/** Bytes that all channels of a link may hold for their applications, each way. */
const LINK_BUDGET = 64 * 1024 * 1024;

export interface LinkOptions {
  /** The tunnel's name, for error messages. */
  readonly name: string;
  readonly runtime: Runtime;
  readonly maxChannels: number;
  /** The peer opened a channel; undefined on a subscriber, whose peer opens none. */
  readonly onChannel?: (accept: (user: ChannelUser) => ChannelStream) => void;
  /** The link is over and its channels were reset. `error` is undefined after our own `close`. */
  readonly onClose: (error: UnderpassError | undefined) => void;
}

/** Everything between one subscriber and one publisher: a carrier, and the channels on it. */
export class Link implements CarrierHandler {
  readonly #options: LinkOptions;
  readonly #budget = new Budget(LINK_BUDGET);
  readonly #sendBudget = new Budget(LINK_BUDGET);
  #carrier: Carrier | undefined;
  #nextChannel = 0n;
  #channels = 0;
  #closed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** The carrier is ready. The link takes it over. */
  attach(carrier: Carrier): void {
    this.#carrier = carrier;
    if (this.#closed) carrier.close();
  }

  get rtt(): number | undefined {
    return this.#carrier?.rtt;
  }

  get kind(): Carrier['kind'] | undefined {
    return this.#carrier?.kind;
  }

  /** Whether it is over. */
  get closed(): boolean {
    return this.#closed;
  }

  get channelCount(): number {
    return this.#channels;
  }

  /** Opens a channel to the offered port with this number. Throws `peer_lost` or `too_many_channels`. */
  open(port: number, user: ChannelUser): ChannelStream {
    if (this.#carrier === undefined || this.#closed)
      throw new UnderpassError('peer_lost', { name: this.#options.name });
    if (this.#channels >= this.#options.maxChannels) throw new UnderpassError('too_many_channels');
    const stream = this.#carrier.open();
    return this.#run(stream, { port, channel: this.#nextChannel++ }, user);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#carrier?.close();
  }

  onStream(stream: ByteStream): void {
    const { onChannel, maxChannels } = this.#options;
    if (onChannel === undefined) stream.reset();
    else if (this.#channels >= maxChannels)
      this.#run(stream, undefined, REFUSED).reset(ResetCode.tooManyChannels);
    else onChannel((user) => this.#run(stream, undefined, user));
  }

  onClose(error: UnderpassError | undefined): void {
    this.#closed = true;
    this.#options.onClose(error);
  }

  #run(
    stream: ByteStream,
    header: { port: number; channel: bigint } | undefined,
    user: ChannelUser,
  ): ChannelStream {
    this.#channels += 1;
    return new ChannelStream(stream, {
      header,
      user,
      budget: this.#budget,
      sendBudget: this.#sendBudget,
      runtime: this.#options.runtime,
      rtt: () => this.rtt,
      onOver: () => {
        this.#channels -= 1;
      },
    });
  }
}

/** Stands in for the application of a channel that is refused. */
const REFUSED: ChannelUser = {
  onOpened: () => {},
  onData: () => {},
  onEnd: () => {},
  onDrain: () => {},
  onOver: () => {},
};
