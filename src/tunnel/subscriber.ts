import type { Socket } from 'node:net';
import { asUnderpassError, UnderpassError } from '../errors.ts';
import { deriveTunnelKey, identityFingerprint, peerKey, secretHash } from '../identity.ts';
import type { NatReport } from '../nat/report.ts';
import type { Timer } from '../net/runtime.ts';
import { Backoff } from '../signaling/backoff.ts';
import type { SubscribeOptions } from './api.ts';
import { ResetCode } from './channel-frame.ts';
import type { Connection, Tenant } from './connection.ts';
import type { TunnelEvent } from './events.ts';
import { Forward } from './forward.ts';
import type { Link } from './link.ts';
import { type RequestedLink, requestLink } from './link-setup.ts';
import type { UdpPort } from './local-port.ts';
import { LocalPorts } from './local-ports.ts';
import { subscribeSettings } from './options.ts';
import { fromRanges } from './ports.ts';
import { BaseTunnel } from './tunnel.ts';

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
  #key: Buffer | undefined;
  #link: Link | undefined;
  /** Links that have been replaced, and end with the last of their channels. */
  readonly #retired = new Set<Link>();
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
    for (const link of [this.#link, ...this.#retired]) link?.close();
  }

  async #start(): Promise<void> {
    const { target: name, secret } = this.#options;
    const { runtime } = this.#connection;
    try {
      // Whoever made this tunnel has it before it hears that it has failed.
      const { plan, listenHost: host } = await Promise.resolve(this.#options).then(subscribeSettings);
      if (this.over) return;
      this.#ports = new LocalPorts({
        ...{ runtime, name, plan, host },
        onConnection: (socket, number) => this.#serve(socket, number),
        udp: () => this.#udpPort(),
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

  /** Builds a link, unless there is one that the server relays or one is being built. */
  #seek(): void {
    if (this.over || this.#link?.relayed || this.#attempt !== undefined || this.#key === undefined) return;
    this.#retry?.cancel();
    const attempt = new AbortController();
    this.#attempt = attempt;
    void this.#build(this.#key, attempt.signal);
  }

  async #build(key: Buffer, signal: AbortSignal): Promise<void> {
    const { target: name, mode = 'auto' } = this.#options;
    let built: Link | undefined;
    let lost: UnderpassError | undefined;
    try {
      const request = {
        name,
        hash: secretHash(key),
        peerKey: peerKey(key),
        mode,
        wait: this.#connection.reconnect,
        onWaiting: () => this.emit({ event: 'waiting', target: name }),
        signal,
      };
      const established = await requestLink(this.#connection, request, {
        onPath: (path) => {
          if (built !== undefined && built === this.#link && this.#announced)
            this.emitPath({ target: name }, path);
        },
        onRelayLost: () => {
          if (built !== undefined && built === this.#link) this.#onRelayLost();
        },
        onTrouble: (error) => this.complain(error),
        onClose: (error) => {
          lost = error;
          if (built !== undefined) this.#onLinkClosed(built, error);
        },
      });
      built = established.link;
      this.#attempt = undefined;
      if (this.over) return built.close();
      await this.#welcome(established);
      // It may have gone while it was being built, or while the disk was busy.
      if (built.closed) this.#onLinkClosed(built, lost);
    } catch (thrown) {
      this.#attempt = undefined;
      if (!this.over) this.#failed(asUnderpassError(thrown));
    }
  }

  async #welcome({ link, identity, ports }: RequestedLink): Promise<void> {
    const { target } = this.#options;
    const before = this.#link;
    this.#link = link;
    this.#announced = false;
    this.#linkedAt = this.#connection.runtime.now();
    if (before !== undefined) this.#retire(before);
    const memory = await this.#connection.store.rememberPeer(this.#connection.server, target, identity);
    if (memory.changed) {
      const seen = identityFingerprint(identity);
      this.emit({ event: 'identity_changed', target, remembered: memory.remembered, seen });
    }
    if (this.#link !== link || link.closed || this.over) return;
    try {
      await this.#ports?.offer(fromRanges(ports));
    } catch (error) {
      return this.end(asUnderpassError(error));
    }
    if (this.#link !== link || link.closed || this.over) return;
    this.#announce();
    this.#announced = true;
    if (link.path !== undefined) this.emitPath({ target }, link.path);
    this.#ports?.open();
  }

  /** The link before may have channels yet, and has a path of its own. */
  #retire(before: Link): void {
    this.#retired.add(before);
    before.retire();
  }

  /** There is a direct path, which needs no server; but nothing to fall back on when it dies. */
  #onRelayLost(): void {
    this.#seek();
  }

  #onLinkClosed(link: Link, error: UnderpassError | undefined): void {
    this.#retired.delete(link);
    if (this.#link !== link) return;
    this.#link = undefined;
    this.#ports?.hold();
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
    this.#retry = this.#connection.runtime.setTimer(this.#backoff.next(false), () => this.#seek());
  }

  #announce(): void {
    const ports = this.#ports?.listening ?? [];
    const { target } = this.#options;
    const listen = ports[0]?.listen ?? '';
    const more = ports.length > 1 ? { ports } : {};
    this.emit({ event: 'ready', role: 'subscriber', target, listen, ...more });
  }

  #udpPort(): UdpPort {
    const problem = 'this version does not carry UDP';
    const listen = async (host: string, port: number) => {
      throw new UnderpassError('listen_failed', { host, port, problem });
    };
    return { listen, close: () => {} };
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
