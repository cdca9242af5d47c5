import type { ByteStream, Carrier } from '../carrier.ts';
import { UnderpassError } from '../errors.ts';
import { Budget } from '../net/budget.ts';
import type { Runtime } from '../net/runtime.ts';
import { type ChannelHeader, ResetCode } from './channel-frame.ts';
import { readOpening, refuseLane } from './channel-opening.ts';
import { ChannelStream, type ChannelUser, NOBODY } from './channel-stream.ts';
import { type DirectOrigin, LinkCarrier, type LinkCarrierOwner } from './link-carrier.ts';

/** Channels that a link carries at a time, unless the server asks for fewer. */
export const MAX_CHANNELS = 1024;

/** Bytes that all channels of a link may hold for their applications, each way. */
const LINK_BUDGET = 64 * 1024 * 1024;

/** What new channels go through. `reason`: why it is not a direct one. */
export type LinkPath =
  | ({ readonly kind: 'direct'; readonly rtt: number | undefined } & DirectOrigin)
  | { readonly kind: 'relayed'; readonly rtt: number | undefined; readonly reason: string };

export interface LinkOptions {
  /** The tunnel's name, for error messages. */
  readonly name: string;
  readonly runtime: Runtime;
  readonly maxChannels: number;
  /** Whether channels may go through the server; if not, the link ends with its direct path. */
  readonly mayRelay: boolean;
  /** The peer opened a channel; undefined on a subscriber, whose peer opens none. */
  readonly onChannel?: (header: ChannelHeader, accept: (user: ChannelUser) => ChannelStream) => void;
  /** The active path is another one, or relayed for another reason. */
  readonly onPath: (path: LinkPath) => void;
  /** The server no longer relays it; the direct path goes on. */
  readonly onRelayLost: () => void;
  /** It is about to close its carriers. */
  readonly onClosing?: (() => void) | undefined;
  /** The link is over and its channels were reset. `error` is undefined after our own `close`. */
  readonly onClose: (error: UnderpassError | undefined) => void;
}

/** Everything between one subscriber and one publisher: the carriers, of which one is active, and the channels on them. */
export class Link implements LinkCarrierOwner {
  readonly #options: LinkOptions;
  readonly #budget = new Budget(LINK_BUDGET);
  readonly #sendBudget = new Budget(LINK_BUDGET);
  #relayed: LinkCarrier | undefined;
  /** The newest first; older ones have channels yet. */
  #direct: readonly LinkCarrier[] = [];
  /** Why there is no direct path. */
  #reason = 'searching';
  #told = '';
  #nextChannel = 0n;
  #channels = 0;
  #retired = false;
  #closed = false;
  #finished = false;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** What a new carrier is to report to, before it is ready. */
  handler(kind: Carrier['kind']): LinkCarrier {
    return new LinkCarrier(this, kind);
  }

  /** A carrier that reports to `handler` is ready. The link takes it over. @param origin of a direct one */
  attach(handler: LinkCarrier, carrier: Carrier, origin?: DirectOrigin): void {
    handler.attach(carrier, origin);
    if (this.#closed) {
      handler.close();
    } else if (handler.kind === 'relayed') {
      this.#relayed = handler;
      this.#tell();
    } else {
      const older = this.#direct;
      this.#direct = [handler, ...older];
      this.#tell();
      // Only who opens channels knows that none is on its way.
      if (this.#options.onChannel === undefined) for (const old of older) old.retire();
    }
    // It can end in the moment in which it comes up.
    if (handler.gone !== undefined) this.onClose(handler, handler.gone.error);
  }

  /** Says why there is no direct path. */
  relayedBecause(reason: string): void {
    this.#reason = reason;
    this.#tell();
  }

  /** Undefined while channels cannot be opened. */
  get path(): LinkPath | undefined {
    const active = this.#active;
    if (active?.carrier === undefined) return undefined;
    const { rtt } = active.carrier;
    if (active.origin !== undefined) return { kind: 'direct', rtt, ...active.origin };
    return { kind: 'relayed', rtt, reason: this.#direct.length > 0 ? 'silent' : this.#reason };
  }

  /** Whether it is over. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the server relays it, so that it would outlive its direct path. */
  get relayed(): boolean {
    return this.#relayed !== undefined;
  }

  get channelCount(): number {
    return this.#channels;
  }

  /** Opens a channel to the offered port with this number. Throws `peer_lost` or `too_many_channels`. */
  open(port: number, user: ChannelUser): ChannelStream {
    const active = this.#active;
    if (active?.carrier === undefined || this.#closed)
      throw new UnderpassError('peer_lost', { name: this.#options.name });
    if (this.#channels >= this.#options.maxChannels) throw new UnderpassError('too_many_channels');
    const stream = active.carrier.open();
    return this.#run(active, stream, { port, channel: this.#nextChannel++ }, user);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.onClosing?.();
    for (const carrier of [this.#relayed, ...this.#direct]) carrier?.close();
  }

  /** Opens no more channels, and ends with the last of them. */
  retire(): void {
    this.#retired = true;
    this.#leaveIfEmpty();
  }

  onStream(from: LinkCarrier, stream: ByteStream): void {
    const { onChannel, mayRelay, runtime } = this.#options;
    const isForbidden = from.kind === 'relayed' && !mayRelay;
    if (onChannel === undefined || isForbidden) {
      stream.reset();
      return;
    }
    readOpening(
      stream,
      runtime,
      (header, rest) => {
        if (header.kind === 'resumed') refuseLane(rest, ResetCode.closed);
        else if (this.#channels >= this.#options.maxChannels)
          this.#run(from, rest, undefined, NOBODY).reset(ResetCode.tooManyChannels);
        else onChannel(header, (user) => this.#run(from, rest, undefined, user));
      },
      () => {},
    );
  }

  onChange(): void {
    this.#tell();
  }

  onClose(from: LinkCarrier, error: UnderpassError | undefined): void {
    const wasRelay = from === this.#relayed;
    if (!wasRelay && !this.#direct.includes(from)) return;
    if (wasRelay) this.#relayed = undefined;
    this.#direct = this.#direct.filter((carrier) => carrier !== from);
    const hasRelay = this.#relayed !== undefined && (this.#options.mayRelay || this.#closed);
    if (this.#direct.length === 0 && !hasRelay) this.#finish(error);
    else if (!this.#closed) {
      this.#tell();
      if (wasRelay) this.#options.onRelayLost();
    }
  }

  #finish(error: UnderpassError | undefined): void {
    if (this.#finished) return;
    this.#finished = true;
    const expected = this.#closed;
    this.close();
    this.#options.onClose(expected ? undefined : error);
  }

  get #active(): LinkCarrier | undefined {
    const [newest] = this.#direct;
    const heard = this.#direct.find((carrier) => !carrier.silent);
    return heard ?? (this.#options.mayRelay ? (this.#relayed ?? newest) : newest);
  }

  #leaveIfEmpty(): void {
    if (this.#retired && this.#channels === 0) this.close();
  }

  #tell(): void {
    const { path } = this;
    if (path === undefined || this.#closed) return;
    const { rtt: _, ...what } = path;
    const told = JSON.stringify(what);
    if (told === this.#told) return;
    this.#told = told;
    this.#options.onPath(path);
  }

  #run(
    on: LinkCarrier,
    stream: ByteStream,
    header: { port: number; channel: bigint } | undefined,
    user: ChannelUser,
  ): ChannelStream {
    this.#channels += 1;
    on.channelOpened();
    const channel = new ChannelStream({
      opener: header,
      user,
      budget: this.#budget,
      sendBudget: this.#sendBudget,
      runtime: this.#options.runtime,
      onOver: () => {
        this.#channels -= 1;
        on.channelOver();
        this.#leaveIfEmpty();
      },
      onLaneLost: () => channel.abandon(ResetCode.closed),
    });
    channel.addLane(on, stream, 'new');
    return channel;
  }
}
