import { asUnderpassError, type ErrorCode, UnderpassError } from '../errors.ts';
import { deriveTunnelKey, identityFingerprint, peerKey, secretHash } from '../identity.ts';
import type { NatReport } from '../nat/report.ts';
import type { Timer } from '../net/runtime.ts';
import type { FromServer } from '../signaling/messages.ts';
import type { PublishOptions } from './api.ts';
import type { Connection, Tenant } from './connection.ts';
import type { TunnelEvent } from './events.ts';
import type { Link } from './link.ts';
import { acceptLink } from './link-setup.ts';
import { Service } from './service.ts';
import { BaseTunnel } from './tunnel.ts';

/** Links that a publisher has or is building at a time. */
const MAX_LINKS = 64;

/** How long to wait before asking again for a name that the server could not give just now. */
const REGISTER_RETRY = 5000;

/** Publishes one local service: holds the name on the server and serves whoever knows the secret. */
export class Publisher extends BaseTunnel implements Tenant {
  readonly publishes: string;
  readonly mayGoDirect: boolean;
  readonly #connection: Connection;
  readonly #options: PublishOptions;
  readonly #service: Service;
  /** By link id; undefined while the link is being built. */
  readonly #links = new Map<string, Link | undefined>();
  #key: Buffer | undefined;
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
    this.#service = new Service(options, (error) => this.complain(error));
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
    if (this.#key === undefined || this.over || this.#links.has(message.link)) {
      this.#refuse(message, 'peer_refused');
    } else if (this.#links.size >= MAX_LINKS) {
      this.#refuse(message, 'too_many_links');
    } else {
      void this.#serve(message, this.#key);
    }
  }

  protected farewell(): TunnelEvent {
    return { event: 'closed', name: this.publishes };
  }

  protected async release(): Promise<void> {
    this.#connection.remove(this);
    this.#retry?.cancel();
    if (this.#claimed) this.#connection.signaling.unregister(this.publishes);
    for (const link of this.#links.values()) link?.close();
  }

  async #start(): Promise<void> {
    try {
      this.#key = await deriveTunnelKey(this.#options.secret, this.publishes);
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
    const { link: id, name, peer_address: address } = message;
    const peer = id.slice(0, 8);
    let joined: { peer: string; identity: string; address: string } | undefined;
    this.#links.set(id, undefined);
    try {
      const { mode = 'auto' } = this.#options;
      const { link, identity } = await acceptLink(
        this.#connection,
        message,
        { peerKey: peerKey(key), mode },
        {
          onChannel: (accept) => this.#service.serve(accept),
          onPath: (path) => {
            if (joined !== undefined) this.emitPath({ peer }, path);
          },
          onRelayLost: () => {},
          onTrouble: (error) => this.complain(error),
          onClose: () => {
            this.#links.delete(id);
            if (joined !== undefined) this.emit({ event: 'peer', action: 'left', name, ...joined });
          },
        },
      );
      if (this.over) return link.close();
      // It can end in the moment between being up and being known here; `onClose` has forgotten it then.
      if (link.closed) return;
      this.#links.set(id, link);
      joined = { peer, identity: identityFingerprint(identity), address };
      this.emit({ event: 'peer', action: 'joined', name, ...joined });
      if (link.path !== undefined) this.emitPath({ peer }, link.path);
    } catch (thrown) {
      this.#links.delete(id);
      const error = withName(asUnderpassError(thrown), name);
      // Before the answer this is a refusal, and after it nobody has to wait for a stream that does not come.
      if (this.#connection.online) this.#connection.signaling.closeLink(id, error.code);
      if (!this.over) this.complain(error);
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
