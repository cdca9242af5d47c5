import { asUnderpassError, type ErrorCode, UnderpassError } from '../errors.ts';
import { deriveTunnelKey, identityFingerprint, peerKey, secretHash } from '../identity.ts';
import type { NatReport } from '../nat/report.ts';
import type { Timer } from '../net/runtime.ts';
import type { FromServer } from '../signaling/messages.ts';
import type { PublishedTunnel, PublishOptions } from './api.ts';
import type { Connection, Tenant } from './connection.ts';
import type { TunnelEvent } from './events.ts';
import type { Link } from './link.ts';
import { acceptLink } from './link-setup.ts';
import { type PublishSettings, publishSettings } from './options.ts';
import { addressOf, PeerMeter, type PeerStatus, Peers } from './peers.ts';
import { toRanges } from './ports.ts';
import { proxyHeader } from './proxy-protocol.ts';
import { type ServedPeer, Service } from './service.ts';
import { BaseTunnel } from './tunnel.ts';

/** Links that a publisher has or is building at a time. */
const MAX_LINKS = 64;

/** How long to wait before asking again for a name that the server could not give just now. */
const REGISTER_RETRY = 5000;

/** Publishes one local service: holds the name on the server and serves whoever knows the secret. */
export class Publisher extends BaseTunnel implements Tenant, PublishedTunnel {
  readonly publishes: string;
  readonly mayGoDirect: boolean;
  readonly #connection: Connection;
  readonly #options: PublishOptions;
  readonly #peers: Peers;
  /** By link id; undefined while the link is being built. */
  readonly #links = new Map<string, Link | undefined>();
  #key: Buffer | undefined;
  #settings: PublishSettings | undefined;
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
    if (
      this.#key === undefined ||
      this.#settings === undefined ||
      this.over ||
      this.#links.has(message.link)
    ) {
      this.#refuse(message, 'peer_refused');
    } else if (this.#links.size >= MAX_LINKS) {
      this.#refuse(message, 'too_many_links');
    } else {
      void this.#serve(message, this.#key, this.#settings);
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
    for (const link of this.#links.values()) link?.close();
  }

  async #start(): Promise<void> {
    try {
      const key = await deriveTunnelKey(this.#options.secret, this.publishes);
      this.#settings = publishSettings(this.#options);
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
      const { signaling, standpoint, lanAddresses } = this.#connection;
      this.#claimed = true;
      await signaling.register(this.publishes, secrets, standpoint?.measured.verdict, lanAddresses);
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

  async #serve(
    message: FromServer<'p2p_offer'>,
    key: Buffer,
    { ports, localHost, admission, proxyProtocol }: PublishSettings,
  ): Promise<void> {
    const { link: id, name, peer_address: address } = message;
    const peer = id.slice(0, 8);
    const meter = new PeerMeter();
    const service = new Service({ name, localHost, ports }, (error) => this.complain(error));
    let fingerprint = '';
    let joined = false;
    const about = () => {
      const { address: seen, claimed } = addressOf(this.#links.get(id)?.path, address);
      return {
        event: 'peer',
        name,
        peer,
        identity: fingerprint,
        address: seen,
        address_claimed: claimed,
      } as const;
    };
    const prefix: ServedPeer['prefix'] = (destination) => {
      const source = addressOf(this.#links.get(id)?.path, address);
      return proxyHeader({ protocol: 'tcp', source, destination, identity: fingerprint });
    };
    const served = { meter, prefix: proxyProtocol ? prefix : undefined };
    const admit = (identity: Buffer) => {
      fingerprint = identityFingerprint(identity);
      if (!admission.admits(identity)) this.emit({ ...about(), action: 'refused' });
      admission.check(identity, name);
    };
    this.#links.set(id, undefined);
    try {
      const { mode = 'auto' } = this.#options;
      const { link } = await acceptLink(
        this.#connection,
        message,
        { peerKey: peerKey(key), mode, ports: toRanges(ports), admit },
        {
          onChannel: (accept) => service.serve(accept, served),
          onPath: (path) => {
            if (joined) this.emitPath({ peer }, path);
          },
          onRelayLost: () => {},
          onTrouble: (error) => this.complain(error),
          onClose: () => {
            const last = about();
            this.#links.delete(id);
            const status = this.#peers.remove(peer);
            if (status === undefined) return;
            const { seconds, bytes_in, bytes_out } = status;
            this.emit({ ...last, action: 'left', seconds, bytes_in, bytes_out });
          },
        },
      );
      if (this.over) return link.close();
      // It can end in the moment between being up and being known here; `onClose` has forgotten it then.
      if (link.closed) return;
      this.#links.set(id, link);
      this.#peers.add(peer, { identity: fingerprint, address, link, meter });
      joined = true;
      this.emit({ ...about(), action: 'joined' });
      if (link.path !== undefined) this.emitPath({ peer }, link.path);
    } catch (thrown) {
      this.#links.delete(id);
      const error = withName(asUnderpassError(thrown), name);
      // Before the answer this is a refusal, and after it nobody has to wait for a stream that does not come.
      if (this.#connection.online) this.#connection.signaling.closeLink(id, error.code);
      if (!this.over && error.code !== 'peer_refused') this.complain(error);
    }
  }

  #refuse({ link }: FromServer<'p2p_offer'>, code: ErrorCode): void {
    if (this.#connection.online) this.#connection.signaling.refuse(link, code);
  }
}

/** The same error, knowing which tunnel it is about. */
function withName(error: UnderpassError, name: string): UnderpassError {
  return new UnderpassError(error.code, { name, ...error.details }, { cause: error });
}
