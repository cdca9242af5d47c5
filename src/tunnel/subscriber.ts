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
import { DEFAULT_GRACE, type Link, type LinkPath } from './link.ts';
import { type EstablishedLink, requestLink } from './link-setup.ts';
import { LocalListener } from './local-listener.ts';
import { BaseTunnel } from './tunnel.ts';

/** A link that lasted this long was a good one: the next attempts are quick again. Milliseconds. */
const STABLE_TIME = 10_000;

/** Between two attempts while connections wait, milliseconds. */
const MAX_DELAY_IN_GRACE = 5000;

/** Brings a friend's service to a local port: binds the port, and keeps a link to whoever publishes the name. */
export class Subscriber extends BaseTunnel implements Tenant {
  readonly publishes = undefined;
  readonly mayGoDirect: boolean;
  readonly #connection: Connection;
  readonly #options: SubscribeOptions;
  readonly #listener: LocalListener;
  readonly #backoff: Backoff;
  #listen = '';
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
    this.#listener = new LocalListener(runtime, (socket) => this.#serve(socket));
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
    this.#listener.close();
    this.#link?.close();
  }

  async #start(): Promise<void> {
    const { target, secret, listenHost = '127.0.0.1', localPort } = this.#options;
    try {
      this.#listen = await this.#listener.listen(listenHost, localPort);
      // Closing it before it was bound had no effect.
      if (this.over) return this.#listener.close();
      this.#key = await deriveTunnelKey(secret, target);
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
    if (this.over || this.#link?.relayed || this.#attempt !== undefined || this.#key === undefined) return;
    this.#retry?.cancel();
    const attempt = new AbortController();
    this.#attempt = attempt;
    void this.#build(this.#key, this.#established, attempt);
  }

  async #build(key: Buffer, resume: EstablishedLink | undefined, attempt: AbortController): Promise<void> {
    const { target: name, mode = 'auto', grace = DEFAULT_GRACE } = this.#options;
    let built: EstablishedLink | undefined;
    let lost: UnderpassError | undefined;
    try {
      const request = {
        ...{ name, mode, grace, resume },
        hash: secretHash(key),
        peerKey: peerKey(key),
        wait: this.#connection.reconnect,
        onWaiting: () => this.emit({ event: 'waiting', target: name }),
        signal: attempt.signal,
      };
      built = await requestLink(this.#connection, request, {
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
      if (this.over || this.#attempt !== attempt) return built.link.close();
      this.#attempt = undefined;
      if (built === resume) this.#announce();
      else await this.#welcome(built);
      // It may have gone while it was being built, or while the disk was busy.
      if (built.link.closed) this.#onLinkClosed(built.link, lost);
      // And the relay may have been lost already.
      else this.#seek();
    } catch (thrown) {
      if (this.#attempt !== attempt) return;
      this.#attempt = undefined;
      if (!this.over) this.#failed(asUnderpassError(thrown));
    }
  }

  async #welcome(established: EstablishedLink): Promise<void> {
    const { target } = this.#options;
    const { link, identity } = established;
    const before = this.#link;
    this.#established = established;
    this.#announced = false;
    this.#linkedAt = this.#connection.runtime.now();
    // The publisher has forgotten it, and what was on it.
    before?.close();
    const memory = await this.#connection.store.rememberPeer(this.#connection.server, target, identity);
    if (memory.changed) {
      const seen = identityFingerprint(identity);
      this.emit({ event: 'identity_changed', target, remembered: memory.remembered, seen });
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
    if (path.kind === 'none') this.#listener.hold();
    else this.#listener.open();
  }

  #onLinkClosed(link: Link, error: UnderpassError | undefined): void {
    if (this.#link !== link) return;
    this.#established = undefined;
    this.#listener.hold();
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
    const delay = this.#backoff.next(false);
    const isWaitedFor = this.#link?.path.kind === 'none';
    this.#retry = this.#connection.runtime.setTimer(
      isWaitedFor ? Math.min(delay, MAX_DELAY_IN_GRACE) : delay,
      () => this.#seek(),
    );
  }

  #announce(): void {
    this.emit({
      event: 'ready',
      role: 'subscriber',
      target: this.#options.target,
      listen: this.#listen,
    });
  }

  #serve(socket: Socket): void {
    const link = this.#link;
    const forward = new Forward(socket, (code, problem) => this.#onForwardOver(code, problem));
    try {
      if (link === undefined) throw new UnderpassError('peer_lost', { name: this.#options.target });
      forward.start(link.open(0, forward));
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
