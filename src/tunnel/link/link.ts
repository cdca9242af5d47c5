import type { ByteStream, Carrier } from '../../carrier.ts';
import { UnderpassError } from '../../errors.ts';
import type { Runtime, Timer } from '../../net/runtime.ts';
import type { ChannelStream, ChannelUser } from '../channel/channel-stream.ts';
import { LinkDatagrams } from '../udp/link-datagrams.ts';
import { type DirectOrigin, LinkCarrier, type LinkCarrierOwner } from './link-carrier.ts';
import { type AcceptChannel, LinkChannels } from './link-channels.ts';

/** Channels that a link carries at a time, unless the server asks for fewer. */
export const MAX_CHANNELS = 1024;

/** How long a direct carrier stays when there is a newer one, milliseconds: what is on its way on it need not be sent again. */
const LINGER = 2000;

/** What channels go through. `reason`: why it is not a direct one, or why there is none. */
export type LinkPath =
  | ({ readonly kind: 'direct'; readonly rtt: number | undefined } & DirectOrigin)
  | { readonly kind: 'relayed'; readonly rtt: number | undefined; readonly reason: string }
  | { readonly kind: 'none'; readonly rtt: undefined; readonly reason: string };

/** What a link may take of this machine. */
export interface LinkBounds {
  /** How long it lives without a path, milliseconds. */
  readonly grace: number;
  /** Bytes that its channels may hold each way: for applications, and for a peer that has not acknowledged them. */
  readonly buffers: number;
}

export interface LinkOptions extends LinkBounds {
  /** The tunnel's name, for error messages. */
  readonly name: string;
  readonly runtime: Runtime;
  readonly maxChannels: number;
  /** Whether channels may go through the server. */
  readonly mayRelay: boolean;
  /** The peer opened a channel; undefined on a subscriber, whose peer opens none. */
  readonly onChannel?: AcceptChannel | undefined;
  /** The peer has broken the protocol, outside of any channel. */
  readonly onOffence?: ((problem: string) => void) | undefined;
  /** A datagram has come, for a flow of the offered port with this number. Its bytes are the handler's. */
  readonly onDatagram?: ((port: number, flow: number, payload: Buffer) => void) | undefined;
  /** The active path is another one, or relayed for another reason. */
  readonly onPath: (path: LinkPath) => void;
  /** The server no longer relays it. */
  readonly onRelayLost: () => void;
  /** It is about to close its carriers. */
  readonly onClosing?: (() => void) | undefined;
  /** The link is over and its channels were reset. `error` is undefined after our own `close`. */
  readonly onClose: (error: UnderpassError | undefined) => void;
}

/**
 * Everything between one subscriber and one publisher. Carriers come and go, of which one is active; the channels stay, and for a
 * while (the grace) they do so without any carrier.
 */
export class Link implements LinkCarrierOwner {
  readonly #options: LinkOptions;
  readonly #channels: LinkChannels;
  readonly #datagrams: LinkDatagrams;
  #relayed: LinkCarrier | undefined;
  /** The newest first; older ones are there for what is on its way. */
  #direct: readonly LinkCarrier[] = [];
  /** Why there is no direct path. */
  #reason = 'searching';
  #told = '';
  #grace: Timer | undefined;
  /** When older direct carriers are dropped. */
  readonly #leaving = new Set<Timer>();
  #closed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#channels = new LinkChannels(options);
    const { runtime, onDatagram = () => {} } = options;
    this.#datagrams = new LinkDatagrams({ runtime, onDatagram });
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
      const before = this.#relayed;
      this.#relayed = handler;
      this.#settle();
      before?.drop();
    } else {
      const older = this.#direct;
      this.#direct = [handler, ...older];
      this.#settle();
      for (const old of older) this.#dropLater(old);
    }
    // It can end in the moment in which it comes up.
    if (handler.gone !== undefined) this.onClose(handler, handler.gone.error);
  }

  /** Says why there is no direct path. */
  relayedBecause(reason: string): void {
    this.#reason = reason;
    this.#settle();
  }

  /** `none` while channels have to wait. */
  get path(): LinkPath {
    const active = this.#active;
    if (active?.carrier === undefined) return { kind: 'none', rtt: undefined, reason: 'lost' };
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
    return this.#channels.count;
  }

  /** Opens a channel to the offered port with this number. Throws `peer_lost` or `too_many_channels`. */
  open(port: number, user: ChannelUser): ChannelStream {
    return this.#channels.open(port, user);
  }

  /** Sends a datagram of a flow to the offered port with this number, or back. It may get lost. */
  sendDatagram(port: number, flow: number, payload: Buffer): void {
    this.#datagrams.send(port, flow, payload);
  }

  /** Ends it, and tells the peer so. */
  close(): void {
    this.#end(undefined);
  }

  onStream(from: LinkCarrier, stream: ByteStream): void {
    if (this.#maySend(from)) this.#channels.onStream(from, stream);
    else stream.reset();
  }

  onDatagram(from: LinkCarrier, datagram: Buffer): void {
    if (this.#maySend(from)) this.#datagrams.receive(datagram);
  }

  onDatagramRoom(from: LinkCarrier): void {
    if (from === this.#active) this.#datagrams.onRoom();
  }

  onChange(): void {
    this.#settle();
  }

  onClose(from: LinkCarrier, error: UnderpassError | undefined): void {
    const wasRelay = from === this.#relayed;
    if (!wasRelay && !this.#direct.includes(from)) return;
    if (wasRelay) this.#relayed = undefined;
    this.#direct = this.#direct.filter((carrier) => carrier !== from);
    const hadPath = this.#told !== '';
    const isLast = this.#relayed === undefined && this.#direct.length === 0;
    // What has never had a path has nothing to wait for.
    if (error?.code === 'peer_left' || (isLast && !hadPath)) this.#end(error);
    if (this.#closed) return;
    this.#settle();
    if (wasRelay) this.#options.onRelayLost();
  }

  /** Whether this link may be used by that carrier. */
  #maySend({ kind }: LinkCarrier): boolean {
    return kind === 'direct' || this.#options.mayRelay;
  }

  get #active(): LinkCarrier | undefined {
    const [newest] = this.#direct;
    const heard = this.#direct.find((carrier) => !carrier.silent);
    return heard ?? (this.#options.mayRelay ? (this.#relayed ?? newest) : newest);
  }

  /** Moves the channels to what is active now, counts the grace, and tells whom it concerns. */
  #settle(): void {
    if (this.#closed) return;
    const { runtime, grace, name } = this.#options;
    const active = this.#active;
    this.#channels.moveTo(active);
    // A carrier can end by being used: then all of this has been done for another one.
    if (this.#closed || active !== this.#active) return;
    this.#datagrams.use(active?.carrier);
    if (active !== undefined) {
      this.#grace?.cancel();
      this.#grace = undefined;
    } else if (this.#told !== '') {
      this.#grace ??= runtime.setTimer(grace, () => this.#end(new UnderpassError('peer_lost', { name })));
    }
    this.#tell();
  }

  #tell(): void {
    const { path } = this;
    // Before its first path it is not there yet.
    if (this.#told === '' && path.kind === 'none') return;
    const { rtt: _, ...what } = path;
    const told = JSON.stringify(what);
    if (told === this.#told) return;
    this.#told = told;
    this.#options.onPath(path);
  }

  #end(error: UnderpassError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#grace?.cancel();
    for (const timer of this.#leaving) timer.cancel();
    this.#options.onClosing?.();
    this.#channels.abandon();
    this.#datagrams.close();
    for (const carrier of [this.#relayed, ...this.#direct]) carrier?.close();
    this.#options.onClose(error);
  }

  #dropLater(carrier: LinkCarrier): void {
    const timer = this.#options.runtime.setTimer(LINGER, () => {
      this.#leaving.delete(timer);
      carrier.drop();
    });
    this.#leaving.add(timer);
  }
}
