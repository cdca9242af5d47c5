import { asUnderpassError, UnderpassError } from '../errors.ts';
import type { Identity } from '../identity.ts';
import type { Logger } from '../log.ts';
import type { NatVerdict } from '../nat/behaviour.ts';
import { type NatReport, verdictOf } from '../nat/report.ts';
import {
  formatAddress,
  parseServerAddress,
  parseStunServers,
  type ServerAddress,
  type StunAddress,
} from '../net/address.ts';
import type { Runtime } from '../net/runtime.ts';
import { type Trust, trustOf } from '../net/trust.ts';
import { connectWebSocket, type OpenWebSocket } from '../net/websocket-client.ts';
import { RelayClient } from '../relay/client.ts';
import { SignalingClient, type ToldLimits } from '../signaling/client.ts';
import { defaultLimits } from '../signaling/limits.ts';
import type { FromServer, StunGreeting } from '../signaling/messages.ts';
import { VERSION } from '../version.ts';
import type { ClientOptions } from './api.ts';
import { NatWatch } from './nat-watch.ts';
import type { Store } from './store.ts';
import { namedStunServer, ownStunServer } from './stun-servers.ts';

/** A tunnel, as the connection it lives on sees it. */
export interface Tenant {
  /** The name it publishes; undefined for a subscriber. Offers for it come here. */
  readonly publishes: string | undefined;
  /** Whether it may ever leave the relay, so that the NAT matters. */
  readonly mayGoDirect: boolean;
  /** `resumed`: the server still knows this tunnel's names and links. */
  onOnline(resumed: boolean): void;
  /** The connection is being built again; requests have failed, links live on for a while. */
  onOffline(error: UnderpassError): void;
  /** The connection is over, for good. */
  onFatal(error: UnderpassError): void;
  onOffer(offer: FromServer<'p2p_offer'>): void;
  onReplaced(): void;
  /** Another network, or more is known of it. */
  onNat(report: NatReport): void;
}

const DATA_CONNECT_TIMEOUT = 10_000;

/** The connection to one server that all tunnels of a client share: signaling, and the data connection when there is a link. */
export class Connection {
  readonly runtime: Runtime;
  readonly log: Logger;
  readonly store: Store;
  readonly relay: RelayClient;
  /** `host:port`, under which keys and known publishers are kept. */
  readonly server: string;
  readonly #options: ClientOptions;
  readonly #address: ServerAddress;
  readonly #trust: Trust;
  readonly #stun: readonly StunAddress[];
  readonly #nat: NatWatch;
  readonly #tenants = new Set<Tenant>();
  #identity: Identity | undefined;
  #signaling: SignalingClient | undefined;
  #limits: ToldLimits = defaultLimits;
  /** Where the server says it answers STUN, and, as text, which of that is watched. */
  #greeted: StunGreeting | undefined;
  #watched: string | undefined;
  #starting: Promise<void> | undefined;
  #over: UnderpassError | undefined;

  /** Throws `address_invalid` and `argument_invalid`. */
  constructor(options: ClientOptions, runtime: Runtime, log: Logger, store: Store) {
    this.#options = options;
    this.runtime = runtime;
    this.log = log;
    this.store = store;
    this.#address = parseServerAddress(options.server);
    this.server = formatAddress(this.#address.host, this.#address.port);
    this.#trust = trustOf(options);
    this.#stun = parseStunServers(options.stun ?? []);
    this.#nat = new NatWatch({
      runtime,
      log: log.scope('nat'),
      portMapping: options.portMapping ?? true,
      onReport: (report) => this.#onNat(report),
    });
    this.relay = new RelayClient({ runtime, connect: () => this.#connectData() });
  }

  get online(): boolean {
    return this.#signaling?.online ?? false;
  }

  /** This user's key for the server. Tenants are told things only after it is there. */
  get identity(): Identity {
    if (this.#identity === undefined) throw new UnderpassError('internal', { problem: 'no identity yet' });
    return this.#identity;
  }

  get signaling(): SignalingClient {
    if (this.#signaling === undefined) throw new UnderpassError('server_lost');
    return this.#signaling;
  }

  /** Channels that a link may have on this server. */
  get channelsPerLink(): number {
    return this.#limits.streams_per_link;
  }

  /** What the server may know of our network, as far as it is known. */
  get nat(): NatVerdict | undefined {
    const { report } = this.#nat;
    return report && verdictOf(report);
  }

  /** Whether what is lost is built again. */
  get reconnect(): boolean {
    return this.#options.reconnect ?? true;
  }

  /** A tunnel moves in. It is told at once what state the connection is in; the first one starts it. */
  add(tenant: Tenant): void {
    const name = tenant.publishes;
    if (name !== undefined && this.#publisherOf(name) !== undefined) {
      tenant.onFatal(new UnderpassError('name_in_use', { name }));
      return;
    }
    this.#tenants.add(tenant);
    if (this.#over !== undefined) tenant.onFatal(this.#over);
    else if (this.online) tenant.onOnline(false);
    if (this.online) this.#watchNat();
    if (this.#nat.report !== undefined) tenant.onNat(this.#nat.report);
    this.#starting ??= this.#start();
  }

  remove(tenant: Tenant): void {
    this.#tenants.delete(tenant);
  }

  /** Resolves when the router has its port back, too. */
  async close(): Promise<void> {
    this.#end(new UnderpassError('server_lost'));
    await this.#nat.stop();
  }

  async #start(): Promise<void> {
    try {
      this.#identity = await this.store.identity(this.server);
    } catch (error) {
      this.#end(asUnderpassError(error));
    }
    if (this.#over !== undefined || this.#identity === undefined) return;
    this.#signaling = new SignalingClient({
      address: this.#address,
      trust: this.#trust,
      identity: this.#identity,
      token: this.#options.token,
      version: VERSION,
      runtime: this.runtime,
      handler: {
        onOnline: (resumed, limits, stun) => {
          this.#limits = limits;
          this.#greeted = stun;
          this.log.info('connected', { server: this.server, resumed });
          if (this.nat !== undefined) this.signaling.reportNat(this.nat);
          this.#tell((tenant) => tenant.onOnline(resumed));
          this.#watchNat();
        },
        onOffline: (error, retryInMs) => {
          this.log.info('disconnected', { code: error.code, retry_in_ms: retryInMs });
          if (this.reconnect) this.#tell((tenant) => tenant.onOffline(error));
          else this.#end(error);
        },
        onFatal: (error) => this.#end(error),
        onOffer: (offer) => this.#onOffer(offer),
        // A link that is up hears it from its own stream, and sooner.
        onLinkClosed: (link, code) => {
          this.relay.abandon(Buffer.from(link, 'base64url'), new UnderpassError(code ?? 'peer_lost'));
        },
        onReplaced: (name) => this.#publisherOf(name)?.onReplaced(),
      },
    });
    this.#signaling.start();
  }

  /** There was no tunnel yet that cared, the server has moved its STUN ports, or all had been cut off. */
  #watchNat(): void {
    if (![...this.#tenants].some((tenant) => tenant.mayGoDirect)) return;
    const wanted = JSON.stringify(this.#greeted ?? null);
    const isBlocked = this.#nat.report?.udp_blocked ?? false;
    if (wanted === this.#watched && !isBlocked) return;
    this.#watched = wanted;
    const greeted = this.#greeted;
    this.#nat.watch(async () => {
      const own = greeted === undefined ? [] : [ownStunServer(this.#address, greeted)];
      return Promise.all([...own, ...this.#stun.map(namedStunServer)]);
    });
  }

  #onNat(report: NatReport): void {
    if (this.online) this.signaling.reportNat(verdictOf(report));
    this.#tell((tenant) => tenant.onNat(report));
  }

  #onOffer(offer: FromServer<'p2p_offer'>): void {
    const publisher = this.#publisherOf(offer.name);
    if (publisher !== undefined) publisher.onOffer(offer);
    else this.signaling.refuse(offer.link, 'tunnel_not_found');
  }

  #publisherOf(name: string): Tenant | undefined {
    for (const tenant of this.#tenants) if (tenant.publishes === name) return tenant;
    return undefined;
  }

  async #connectData(): Promise<OpenWebSocket> {
    const id = await this.signaling.openData();
    return connectWebSocket({
      address: this.#address,
      path: `/_data/${id}`,
      trust: this.#trust,
      maxPayload: defaultLimits.frame_bytes,
      timeout: DATA_CONNECT_TIMEOUT,
    });
  }

  #tell(say: (tenant: Tenant) => void): void {
    for (const tenant of [...this.#tenants]) say(tenant);
  }

  #end(error: UnderpassError): void {
    if (this.#over !== undefined) return;
    this.#over = error;
    this.#signaling?.close();
    this.relay.close();
    void this.#nat.stop();
    this.#tell((tenant) => tenant.onFatal(error));
    this.#tenants.clear();
  }
}
