import { asUnderpassError, type ErrorCode, UnderpassError } from '../errors.ts';
import { deriveTunnelKey, identityFingerprint, peerKey, secretHash } from '../identity.ts';
import type { NatReport } from '../nat/report.ts';
import type { Timer } from '../net/runtime.ts';
import type { FromServer } from '../signaling/messages.ts';
import type { PublishedTunnel, PublishOptions } from './api.ts';
import type { Connection } from './connection.ts';
import type { TunnelEvent } from './events.ts';
import type { LinkPath } from './link/link.ts';
import { acceptLink, type EstablishedLink } from './link/link-setup.ts';
import { toRanges } from './local/ports.ts';
import { Services } from './local/services.ts';
import { type PublishSettings, publishSettings } from './options.ts';
import { type PeerStatus, Peers } from './peers.ts';
import { ServedLink } from './served-link.ts';
import type { Tenant } from './tenant.ts';
import { BaseTunnel } from './tunnel.ts';

/** Links that a publisher has or is building at a time. */
const MAX_LINKS = 64;

/** How long to wait before asking again for a name that the server could not give just now. */
const REGISTER_RETRY = 5000;

/** Publishes local services: holds the name on the server and serves whoever knows the secret. */
export class Publisher extends BaseTunnel implements Tenant, PublishedTunnel {
  readonly publishes: string;
  readonly mayGoDirect: boolean;
  readonly #connection: Connection;
  readonly #options: PublishOptions;
  readonly #peers: Peers;
  /** By the id of their first meeting. */
  readonly #links = new Map<string, EstablishedLink>();
  /** Meetings under way, by their short names. */
  readonly #meetings = new Set<string>();
  /** New links that are not up yet. */
  #building = 0;
  #key: Buffer | undefined;
  #settings: PublishSettings | undefined;
  #services: Services | undefined;
  #registered = false;
  /** The server has been asked for the name, and may have given it. */
  #claimed = false;
  #retry: Timer | undefined;

  constructor(connection: Connection, options: PublishOptions, onEvent: (event: TunnelEvent) => void) {
    super(onEvent);
    this.publishes = options.name;
    this.mayGoDirect = options.mode !== 'relay';
    this.#connection = connection;
    this.#options = options;
    this.#peers = new Peers(connection.runtime, (peers) =>
      this.emit({ event: 'peers', name: options.name, peers }),
    );
    void this.#start();
  }

  onOnline(resumed: boolean): void {
    if (resumed && this.#registered) this.#announce();
    else void this.#register();
  }

  onOffline(error: UnderpassError): void {
    this.complain(error);
  }

  onFatal(error: UnderpassError): void {
    void this.end(error);
  }

  onReplaced(): void {
    this.#claimed = false;
    void this.end(new UnderpassError('replaced', { name: this.publishes }));
  }

  onNat(report: NatReport): void {
    this.emit({ event: 'nat', ...report });
  }

  onOffer(message: FromServer<'p2p_offer'>): void {
    const peer = shortNameOf(message);
    // Ids are the peer's choice, and offers can be repeated: who is connected is known by one that nobody else has.
    const isTaken = this.#meetings.has(peer) || this.#peers.has(peer);
    if (this.#key === undefined || this.over || isTaken) {
      this.#refuse(message, 'peer_refused');
    } else if (this.#meetings.size >= MAX_LINKS) {
      this.#refuse(message, 'too_many_links');
    } else {
      void this.#serve(message, this.#key);
    }
  }

  peers(): readonly PeerStatus[] {
    return this.#peers.list();
  }

  closePeer(peer: string): boolean {
    return this.#peers.close(peer);
  }

  protected farewell(): TunnelEvent {
    return { event: 'closed', name: this.publishes };
  }

  protected async release(): Promise<void> {
    this.#connection.remove(this);
    this.#retry?.cancel();
    this.#peers.stop();
    if (this.#claimed) this.#connection.signaling.unregister(this.publishes);
    for (const { link } of [...this.#links.values()]) link.close();
  }

  async #start(): Promise<void> {
    try {
      const key = await deriveTunnelKey(this.#options.secret, this.publishes);
      const settings = publishSettings(this.#options);
      const { runtime } = this.#connection;
      this.#services = new Services(this.publishes, settings, runtime, (error) => this.complain(error));
      this.#settings = settings;
      this.#key = key;
      if (!this.over) this.#connection.add(this);
    } catch (error) {
      await this.end(asUnderpassError(error));
    }
  }

  async #register(): Promise<void> {
    if (this.#key === undefined || this.over) return;
    this.#retry?.cancel();
    this.#registered = false;
    try {
      const secrets = [{ key_id: 0, hash: secretHash(this.#key) }];
      const { signaling, reportable, lanAddresses } = this.#connection;
      this.#claimed = true;
      const { measured, claim } = reportable ?? {};
      await signaling.register(this.publishes, secrets, measured?.verdict, lanAddresses, claim);
      this.#registered = true;
      this.#announce();
    } catch (thrown) {
      const error = withName(asUnderpassError(thrown), this.publishes);
      // Offline says so itself, and online comes back here.
      if (error.code === 'server_lost') return;
      if (!error.retry || !this.#connection.reconnect) return this.end(error);
      this.complain(error);
      this.#retry = this.#connection.runtime.setTimer(REGISTER_RETRY, () => void this.#register());
    }
  }

  #announce(): void {
    this.emit({ event: 'ready', role: 'publisher', name: this.publishes });
  }

  async #serve(message: FromServer<'p2p_offer'>, key: Buffer): Promise<void> {
    const [settings, services] = [this.#settings, this.#services];
    if (settings === undefined || services === undefined) throw new Error('an offer before the start');
    const { link: id, name, peer_address: claim } = message;
    const peer = shortNameOf(message);
    const served = new ServedLink(services, { peer, name, claim });
    let joined = false;
    let isCounted = false;
    this.#meetings.add(peer);
    try {
      const { mode = 'auto' } = this.#options;
      const established = await acceptLink(
        this.#connection,
        message,
        {
          ...{ peerKey: peerKey(key), mode, ports: toRanges(settings.ports) },
          bounds: settings,
          find: (first) => this.#links.get(first.toString('base64url')),
          admit: (identity, isNew) => {
            served.identity = identityFingerprint(identity);
            if (!settings.admission.admits(identity)) this.emit({ ...served.about, action: 'refused' });
            settings.admission.check(identity, name);
            if (!isNew) return;
            this.#makeRoom();
            this.#building += 1;
            isCounted = true;
          },
        },
        {
          onChannel: (header, accept) => served.onChannel(header, accept),
          onDatagram: (port, flow, payload) => served.onDatagram(port, flow, payload),
          onOffence: (problem) => this.complain(new UnderpassError('protocol_error', { problem })),
          onPath: (path) => {
            served.onPath(path);
            if (joined) this.#onPath(peer, path);
          },
          onRelayLost: () => {},
          onTrouble: (error) => this.complain(error),
          onClose: () => {
            this.#links.delete(id);
            this.#hurry();
            served.close();
            const status = this.#peers.remove(peer);
            if (status === undefined) return;
            const { seconds, bytes_in, bytes_out } = status;
            this.emit({ ...served.about, action: 'left', seconds, bytes_in, bytes_out });
          },
        },
      );
      const { link } = established;
      if (this.over) return link.close();
      // It can end in the moment between being up and being known here; and one that was gone on with is known.
      if (link.closed || established.id.toString('base64url') !== id) return;
      served.link = link;
      this.#links.set(id, established);
      this.#peers.add(peer, { identity: served.identity, address: claim, link, meter: served.meter });
      joined = true;
      this.emit({ ...served.about, action: 'joined' });
      this.#onPath(peer, link.path);
    } catch (thrown) {
      const error = withName(asUnderpassError(thrown), name);
      // Before the answer this is a refusal, and after it nobody has to wait for a stream that does not come.
      if (this.#connection.online) this.#connection.signaling.closeLink(id, error.code);
      if (!this.over && error.code !== 'peer_refused') this.complain(error);
    } finally {
      if (isCounted) this.#building -= 1;
      this.#meetings.delete(peer);
    }
  }

  #onPath(peer: string, path: LinkPath): void {
    this.emitPath({ peer }, path);
    this.#hurry();
  }

  /** While a friend's connections wait for a path, a server that is away is asked for more often. */
  #hurry(): void {
    const isWaited = [...this.#links.values()].some(({ link }) => link.path.kind === 'none');
    this.#connection.hurry(this, isWaited);
  }

  /** Room for one more link: the oldest of those that wait for a path makes it. Throws `too_many_links` where none waits. */
  #makeRoom(): void {
    if (this.#links.size + this.#building < MAX_LINKS) return;
    const waiting = [...this.#links.values()].find(({ link }) => link.path.kind === 'none');
    if (waiting === undefined) throw new UnderpassError('too_many_links');
    waiting.link.close();
  }

  #refuse({ link }: FromServer<'p2p_offer'>, code: ErrorCode): void {
    if (this.#connection.online) this.#connection.signaling.refuse(link, code);
  }
}

/** What events and `peers` call whoever makes this offer. */
function shortNameOf({ link }: FromServer<'p2p_offer'>): string {
  return link.slice(0, 8);
}

/** The same error, knowing which tunnel it is about. */
function withName(error: UnderpassError, name: string): UnderpassError {
  return new UnderpassError(error.code, { name, ...error.details }, { cause: error });
}
