import type { Socket } from 'node:net';
import { asUnderpassError, UnderpassError } from '../errors.ts';
import { deriveTunnelKey, identityFingerprint, peerKey, secretHash } from '../identity.ts';
import type { NatReport } from '../nat/report.ts';
import type { Timer } from '../net/runtime.ts';
import { Backoff } from '../signaling/backoff.ts';
import type { SubscribeOptions } from './api.ts';
import { ResetCode } from './channel/channel-frame.ts';
import type { Connection } from './connection.ts';
import type { TunnelEvent } from './events.ts';
import type { Link, LinkBounds, LinkPath } from './link/link.ts';
import { type EstablishedLink, requestLink } from './link/link-setup.ts';
import { Forward } from './local/forward.ts';
import type { UdpPort } from './local/local-port.ts';
import { LocalPorts } from './local/local-ports.ts';
import { fromRanges, type OfferedPort } from './local/ports.ts';
import { type SubscribeSettings, subscribeSettings } from './options.ts';
import type { Tenant } from './tenant.ts';
import { BaseTunnel } from './tunnel.ts';
import { UdpListener } from './udp/udp-listener.ts';

/** A link that lasted this long was a good one: the next attempts are quick again. Milliseconds. */
const STABLE_TIME = 10_000;

/** Brings a friend's service to a local port: binds the port, and keeps a link to whoever publishes the name. */
export class Subscriber extends BaseTunnel implements Tenant {
  readonly publishes = undefined;
  readonly mayGoDirect: boolean;
  readonly #connection: Connection;
  readonly #options: SubscribeOptions;
  readonly #backoff: Backoff;
  #ports: LocalPorts | undefined;
  #settings: SubscribeSettings | undefined;
  /** By the number of the offered port. */
  readonly #udp = new Map<number, UdpListener>();
  #key: Buffer | undefined;
  #established: EstablishedLink | undefined;
  /** Whether the latest link has been announced. */
  #announced = false;
  /** When the latest link came up. */
  #linkedAt = 0;
  /** A link is being built; aborting it ends the attempt. */
  #attempt: AbortController | undefined;
  #retry: Timer | undefined;

  constructor(connection: Connection, options: SubscribeOptions, onEvent: (event: TunnelEvent) => void) {
    super(onEvent);
    const { runtime } = connection;
    this.#connection = connection;
    this.#options = options;
    this.mayGoDirect = options.mode !== 'relay';
    this.#backoff = new Backoff(() => runtime.randomBytes(4).readUInt32BE() / 2 ** 32);
    void this.#start();
  }

  onOnline(resumed: boolean): void {
    // After a resume a link that lived on is still good, and so is an attempt that the server remembers.
    if (resumed && this.#link?.relayed) this.#announce();
    else this.#seek();
  }

  onOffline(error: UnderpassError): void {
    this.complain(error);
  }

  onFatal(error: UnderpassError): void {
    void this.end(error);
  }

  onNat(report: NatReport): void {
    this.emit({ event: 'nat', ...report });
  }

  onOffer(): void {}

  onReplaced(): void {}

  protected farewell(): TunnelEvent {
    return { event: 'closed', target: this.#options.target };
  }

  protected async release(): Promise<void> {
    this.#connection.remove(this);
    this.#retry?.cancel();
    this.#attempt?.abort(new UnderpassError('server_lost'));
    this.#ports?.close();
    this.#connection.hurry(this, false);
    this.#link?.close();
  }

  async #start(): Promise<void> {
    const { target: name, secret } = this.#options;
    const { runtime } = this.#connection;
    try {
      // Whoever made this tunnel has it before it hears that it has failed.
      const settings = await Promise.resolve(this.#options).then(subscribeSettings);
      if (this.over) return;
      this.#settings = settings;
      this.#ports = new LocalPorts({
        ...{ runtime, name, plan: settings.plan, host: settings.listenHost },
        onConnection: (socket, number) => this.#serve(socket, number),
        // They wait as those do that are there already.
        patience: () => (this.#link === undefined ? 0 : settings.grace),
        udp: (number) => this.#udpPort(number, settings.udpIdle),
        onTrouble: (error) => this.complain(error),
        onChange: () => this.#announce(),
      });
      await this.#ports.start();
      if (this.over) return;
      this.#key = await deriveTunnelKey(secret, name);
      if (!this.over) this.#connection.add(this);
    } catch (error) {
      await this.end(asUnderpassError(error));
    }
  }

  get #link(): Link | undefined {
    return this.#established?.link;
  }

  /** Builds a link, or goes on with the one there is, unless the server relays it or that is being done. */
  #seek(): void {
    const [key, settings] = [this.#key, this.#settings];
    if (this.over || this.#link?.relayed || this.#attempt !== undefined) return;
    if (key === undefined || settings === undefined) return;
    this.#retry?.cancel();
    const attempt = new AbortController();
    this.#attempt = attempt;
    void this.#build(key, settings, attempt);
  }

  async #build(key: Buffer, bounds: LinkBounds, attempt: AbortController): Promise<void> {
    const { target: name, mode = 'auto' } = this.#options;
    const resume = this.#established;
    let built: EstablishedLink | undefined;
    let lost: UnderpassError | undefined;
    try {
      const request = {
        ...{ name, mode, bounds, resume },
        hash: secretHash(key),
        peerKey: peerKey(key),
        wait: this.#connection.reconnect,
        onWaiting: () => this.emit({ event: 'waiting', target: name }),
        signal: attempt.signal,
      };
      const { established, ports } = await requestLink(this.#connection, request, {
        onDatagram: (port, flow, payload) => this.#udp.get(port)?.send(flow, payload),
        onPath: (path) => {
          if (built !== undefined && built === this.#established) this.#onPath(path);
        },
        onRelayLost: () => {
          if (built !== undefined && built === this.#established) this.#seek();
        },
        onTrouble: (error) => this.complain(error),
        onClose: (error) => {
          lost = error;
          if (built !== undefined) this.#onLinkClosed(built.link, error);
        },
      });
      built = established;
      if (this.over || this.#attempt !== attempt) return built.link.close();
      this.#attempt = undefined;
      if (built === resume) this.#announce();
      else await this.#welcome(built, fromRanges(ports));
      // It may have gone while it was being built, or while the disk was busy.
      if (built.link.closed) this.#onLinkClosed(built.link, lost);
      // And the relay may have been lost already.
      else this.#seek();
    } catch (thrown) {
      if (built !== undefined) this.#forsake(built);
      else if (this.#attempt !== attempt) return;
      else this.#attempt = undefined;
      if (!this.over) this.#failed(asUnderpassError(thrown));
    }
  }

  /** It is up, and of no use: what it needs here, such as the disk, has failed. */
  #forsake(established: EstablishedLink): void {
    if (this.#established === established) this.#established = undefined;
    established.link.close();
  }

  async #welcome(established: EstablishedLink, offered: readonly OfferedPort[]): Promise<void> {
    const { target } = this.#options;
    const { link, identity } = established;
    const before = this.#link;
    this.#established = established;
    this.#announced = false;
    this.#linkedAt = this.#connection.runtime.now();
    // The publisher has forgotten it, and what was on it; and may count its ports in another way now.
    this.#ports?.hold();
    before?.close();
    const memory = await this.#connection.store.rememberPeer(this.#connection.server, target, identity);
    if (memory.changed) {
      const seen = identityFingerprint(identity);
      this.emit({ event: 'identity_changed', target, remembered: memory.remembered, seen });
    }
    if (this.#link !== link || link.closed || this.over) return;
    try {
      await this.#ports?.offer(offered);
    } catch (error) {
      return this.end(asUnderpassError(error));
    }
    if (this.#link !== link || link.closed || this.over) return;
    this.#announce();
    this.#announced = true;
    this.#onPath(link.path);
  }

  /** Applications that come while there is no path are held. */
  #onPath(path: LinkPath): void {
    if (!this.#announced) return;
    this.emitPath({ target: this.#options.target }, path);
    const isWaitedFor = path.kind === 'none';
    this.#connection.hurry(this, isWaitedFor);
    if (isWaitedFor) this.#ports?.hold();
    else this.#ports?.open();
  }

  #onLinkClosed(link: Link, error: UnderpassError | undefined): void {
    if (this.#link !== link) return;
    this.#established = undefined;
    this.#ports?.hold();
    this.#connection.hurry(this, false);
    // What was to go on with it is no use.
    this.#attempt?.abort(new UnderpassError('peer_lost', { name: this.#options.target }));
    this.#attempt = undefined;
    if (this.#connection.runtime.now() - this.#linkedAt >= STABLE_TIME) this.#backoff.reset();
    if (!this.over) this.#failed(error ?? new UnderpassError('peer_lost', { name: this.#options.target }));
  }

  /** Ends the tunnel or tries again, as the error asks for. */
  #failed(cause: UnderpassError): void {
    const error = new UnderpassError(cause.code, { name: this.#options.target, ...cause.details }, { cause });
    if (this.#link === undefined && (!error.retry || !this.#connection.reconnect)) {
      void this.end(error);
      return;
    }
    // Offline says so itself, and online comes back here.
    if (!this.#connection.online) return;
    this.complain(error);
    this.#retry?.cancel();
    this.#backoff.hurried = this.#link?.path.kind === 'none';
    this.#retry = this.#connection.runtime.setTimer(this.#backoff.next(false), () => this.#seek());
  }

  #announce(): void {
    const ports = this.#ports?.listening ?? [];
    const { target } = this.#options;
    const listen = ports[0]?.listen ?? '';
    const more = ports.length > 1 ? { ports } : {};
    this.emit({ event: 'ready', role: 'subscriber', target, listen, ...more });
  }

  /** A local UDP port. What comes while there is no link is lost, as datagrams are. */
  #udpPort(number: number, idle: number): UdpPort {
    const { runtime } = this.#connection;
    const onDatagram = (flow: number, payload: Buffer) => {
      if (this.#announced) this.#link?.sendDatagram(number, flow, payload);
    };
    const listener = new UdpListener({ runtime, idle, onDatagram });
    this.#udp.set(number, listener);
    return {
      listen: (host, port) => listener.listen(host, port),
      close: () => {
        listener.close();
        if (this.#udp.get(number) === listener) this.#udp.delete(number);
      },
    };
  }

  #serve(socket: Socket, number: number): void {
    const link = this.#link;
    const forward = new Forward(socket, (code, problem) => this.#onForwardOver(code, problem));
    try {
      if (link === undefined) throw new UnderpassError('peer_lost', { name: this.#options.target });
      forward.start(link.open(number, forward));
    } catch (error) {
      socket.resetAndDestroy();
      this.complain(asUnderpassError(error));
    }
  }

  #onForwardOver(code: number | undefined, problem: string | undefined): void {
    const name = this.#options.target;
    if (problem !== undefined) this.complain(new UnderpassError('protocol_error', { problem }));
    else if (code === ResetCode.serviceUnreachable)
      this.complain(new UnderpassError('service_unreachable', { name }));
    else if (code === ResetCode.tooManyChannels) this.complain(new UnderpassError('too_many_channels'));
  }
}
