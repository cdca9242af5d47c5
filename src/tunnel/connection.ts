import { type Certificate, createLinkCertificate } from '../certificate.ts';
import { asUnderpassError, UnderpassError } from '../errors.ts';
import type { Identity } from '../identity.ts';
import type { Logger } from '../log.ts';
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
import { loadQuiche, type Quiche } from '../quic/binding.ts';
import { RelayClient } from '../relay/client.ts';
import { SignalingClient, type ToldLimits } from '../signaling/client.ts';
import { defaultLimits } from '../signaling/limits.ts';
import type { FromServer, StunGreeting } from '../signaling/messages.ts';
import { VERSION } from '../version.ts';
import type { ClientOptions } from './api.ts';
import { NatWatch } from './direct/nat-watch.ts';
import type { Standpoint } from './direct/standpoint.ts';
import { namedStunServer, ownStunServer } from './direct/stun-servers.ts';
import type { LinkListener } from './link/link-listener.ts';
import type { Store } from './store.ts';
import type { Tenant } from './tenant.ts';

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
  /** Those whose connections wait for a path. */
  readonly #waiting = new Set<Tenant>();
  /** By link id. */
  readonly #links = new Map<string, LinkListener>();
  #turn: LinkListener | undefined;
  #identity: Identity | undefined;
  #quiche: Quiche | undefined;
  /** Made ahead: the first one takes as long as several round trips. */
  #certificate: Promise<Certificate> | undefined;
  #signaling: SignalingClient | undefined;
  #limits: ToldLimits = defaultLimits;
  /** Where the server says it answers STUN, and, as text, which of that is watched. */
  #greeted: StunGreeting | undefined;
  #watched: string | undefined;
  /** What it gave us for its STUN; and whether that has been asked, and is to be heard before anything is said of this network. */
  #voucher: Buffer | undefined;
  #isVouching = false;
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
      lanAddresses: this.lanAddresses,
      onReport: (report) => this.#tell((tenant) => tenant.onNat(report)),
      onStandpoint: (standpoint) => this.#onStandpoint(standpoint),
      onChange: () => this.#checkServer(),
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

  /** Where this client stands in its network, as far as it is known. */
  get standpoint(): Standpoint | undefined {
    return this.#nat.standpoint;
  }

  /** The same, for the server: undefined also while its STUN is asked where we are. */
  get reportable(): Standpoint | undefined {
    return this.#isVouching ? undefined : this.standpoint;
  }

  /** Whether peers may be told addresses of this network. */
  get lanAddresses(): boolean {
    return this.#options.lanAddresses ?? true;
  }

  /** What direct paths need; undefined where there is none for this platform. Known before the first tenant is told anything. */
  get quiche(): Quiche | undefined {
    return this.#quiche;
  }

  /** A certificate for a new link. */
  takeCertificate(): Promise<Certificate> {
    const ready = this.#certificate ?? createLinkCertificate();
    this.#certificate = undefined;
    return ready;
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
    this.hurry(tenant, false);
    this.#tenants.delete(tenant);
  }

  /** From now on `listener` hears what concerns the link with this id. */
  listen(link: string, listener: LinkListener): void {
    this.#links.set(link, listener);
  }

  unlisten(link: string): void {
    this.#links.delete(link);
  }

  /** Whether this link may send as much as a birthday search does: one at a time may, until `giveTurn`. */
  takeTurn(listener: LinkListener): boolean {
    this.#turn ??= listener;
    return this.#turn === listener;
  }

  giveTurn(listener: LinkListener): void {
    if (this.#turn === listener) this.#turn = undefined;
  }

  /** The network is doubted. Whatever of the path to the server does not answer within 5 s is given up, and built again. */
  check(): void {
    this.#nat.doubt();
    this.#checkServer();
  }

  /** Whether connections of this tunnel's wait for a path: a server that is away is tried after 5 s at most then. */
  hurry(tenant: Tenant, isWaiting: boolean): void {
    // What leads to it may have died with the path, and nobody has noticed.
    if (isWaiting && !this.#waiting.has(tenant)) this.check();
    if (isWaiting) this.#waiting.add(tenant);
    else this.#waiting.delete(tenant);
    this.#signaling?.hurry(this.#waiting.size > 0);
  }

  /** For when all tunnels are closed: their peers are told so yet. Resolves when the router has its port back, too. */
  async close(): Promise<void> {
    await this.relay.quiet();
    this.#end(new UnderpassError('server_lost'));
    await this.#nat.stop();
  }

  #checkServer(): void {
    this.#signaling?.check();
    this.relay.check();
  }

  async #start(): Promise<void> {
    try {
      const [identity, quic] = await Promise.all([this.store.identity(this.server), loadQuiche()]);
      this.#identity = identity;
      if (quic.available) this.#quiche = quic.quiche;
      else this.log.warn('no direct paths', { problem: quic.problem });
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
        onOnline: (resumed, limits, stun, voucher) => {
          this.#limits = limits;
          this.#greeted = stun;
          this.#vouch(voucher);
          this.log.info('connected', { server: this.server, resumed });
          this.#reportNat();
          this.#tell((tenant) => tenant.onOnline(resumed));
          if (resumed) for (const link of [...this.#links.values()]) link.onOnline();
          this.#watchNat();
          // Peers whose links it carried wait for it. Whoever needs it next hears of a failure.
          this.relay.recover().catch(() => undefined);
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
          this.relay.abandon(
            Buffer.from(link, 'base64url'),
            new UnderpassError(code ?? 'peer_lost', { problem: 'the other side says so' }),
          );
        },
        onReplaced: (name) => this.#publisherOf(name)?.onReplaced(),
        onPeerMessage: (link, message) => this.#links.get(link)?.onPeerMessage(message),
        onPunchStep: (step) => this.#links.get(step.link)?.onPunchStep(step),
        onPunchGo: (link, step) => this.#links.get(link)?.onPunchGo(step),
        onPunchRelay: (link, search, reason) => this.#links.get(link)?.onPunchRelay(search, reason),
      },
    });
    this.#signaling.start();
    this.#certificate = createLinkCertificate();
    // Whoever takes it hears of a failure.
    this.#certificate.catch(() => undefined);
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
      const own = greeted === undefined ? [] : [ownStunServer(this.#address, greeted, this.#voucher)];
      return Promise.all([...own, ...this.#stun.map(namedStunServer)]);
    });
  }

  /** Another session: where we are has to be shown again, and the server is to know that when it plans a search. */
  #vouch(voucher: Buffer | undefined): void {
    const isKnown = voucher === undefined ? this.#voucher === undefined : this.#voucher?.equals(voucher);
    this.#voucher = voucher;
    if (isKnown) return;
    this.#isVouching = true;
    if (!this.#nat.vouch(voucher)) this.#isVouching = false;
  }

  #onStandpoint(standpoint: Standpoint): void {
    this.#isVouching = false;
    this.#reportNat();
    for (const link of [...this.#links.values()]) link.onStandpoint(standpoint);
  }

  #reportNat(): void {
    const { reportable } = this;
    if (!this.online || reportable === undefined) return;
    this.signaling.reportNat(reportable.measured.verdict, this.lanAddresses, reportable.claim);
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
