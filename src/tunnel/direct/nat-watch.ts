import { asUnderpassError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import { measure, type NamedServer } from '../../nat/client.ts';
import type { PortMapper } from '../../nat/port-mapping/client.ts';
import { type Findings, type NatReport, type PortMapping, reportOf } from '../../nat/report.ts';
import type { SourceClaim } from '../../nat/source-proofs.ts';
import { sameEndpoint } from '../../net/endpoint.ts';
import { localInterfaces } from '../../net/interfaces.ts';
import { scopeOf } from '../../net/ip.ts';
import { NetworkMonitor, networkSnapshot } from '../../net/network-monitor.ts';
import type { Runtime, Timer } from '../../net/runtime.ts';
import type { SharedSocket } from '../../net/shared-socket.ts';
import type { DatagramSocket } from '../../net/udp-socket.ts';
import { HeldSocket, openShared } from '../local/held-socket.ts';
import { findRouter } from './port-forwarding.ts';
import { type Standpoint, standpointOf } from './standpoint.ts';
import { remoteEndpoint } from './stun-servers.ts';

/**
 * How often the network is measured though nothing seems to have changed, in milliseconds; and where UDP did not work, soon at first,
 * because a busy machine can look like that.
 */
const MEASURE_INTERVAL = 300_000;
const FIRST_BLOCKED_INTERVAL = 3_000;
const LAST_BLOCKED_INTERVAL = 60_000;

export interface NatWatchOptions {
  readonly runtime: Runtime;
  readonly log: Logger;
  /** Whether the router is asked to forward the port. */
  readonly portMapping: boolean;
  /** Whether peers may learn addresses that are not public. */
  readonly lanAddresses: boolean;
  /** There is something new to say. */
  readonly onReport: (report: NatReport) => void;
  /** More is known of where this client stands, or it stands elsewhere: its sockets are other ones then. */
  readonly onStandpoint: (standpoint: Standpoint) => void;
  /** The machine is in another network, or has slept: nothing that was open may be trusted. */
  readonly onChange: () => void;
}

/** Who is to be asked, in the order of trust; asked again before each measurement. */
export type StunServerSource = () => Promise<readonly NamedServer[]>;

/**
 * Knows the NAT for as long as a client runs: measures the one UDP socket that will be used, has the router forward its port,
 * and measures again, with a fresh socket, when the network has changed. Nobody ever waits for it.
 */
export class NatWatch {
  readonly #options: NatWatchOptions;
  readonly #monitor: NetworkMonitor;
  readonly #ending = new AbortController();
  #source: StunServerSource | undefined;
  #servers: readonly NamedServer[] = [];
  /** What is measured, and shared with every link. */
  #main: HeldSocket | undefined;
  /** Where there is IPv6. Nothing has to be measured on it: there is no NAT, only firewalls. */
  #ipv6: HeldSocket | undefined;
  #mapper: PortMapper | undefined;
  #givenBack: Promise<unknown> = Promise.resolve();
  /** The socket whose port the router is asked to forward. */
  #forwarded: SharedSocket | undefined;
  #findings: Findings | undefined;
  /** What the server that is connected to gave us for its STUN, and what that has said. */
  #voucher: Buffer | undefined;
  #claim: SourceClaim | undefined;
  /** The findings are all that there will be, and not only what punching needs. */
  #isComplete = false;
  #mapping: PortMapping | undefined;
  #report: NatReport | undefined;
  #standpoint: Standpoint | undefined;
  /** A measurement is running; whether another has to follow, on a fresh socket or not. */
  #running = false;
  #again: 'same' | 'fresh' | undefined;
  #blockedInterval = FIRST_BLOCKED_INTERVAL;
  #timer: Timer | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: NatWatchOptions) {
    this.#options = options;
    const snapshot = () => networkSnapshot(this.#servers.flatMap(({ endpoints }) => endpoints.slice(0, 1)));
    this.#monitor = new NetworkMonitor(
      { runtime: options.runtime, snapshot, wallClock: Date.now },
      (reason) => {
        options.log.info('the network changed', { reason });
        options.onChange();
        this.#measure('fresh');
      },
    );
  }

  /** The newest report, once there is one. */
  get report(): NatReport | undefined {
    return this.#report;
  }

  /** The newest, which is there sooner than a report; undefined again while a fresh socket is measured. */
  get standpoint(): Standpoint | undefined {
    return this.#standpoint;
  }

  /** Begins, or goes on with other servers. */
  watch(source: StunServerSource): void {
    this.#source = source;
    this.#measure('same');
  }

  /**
   * The server has another voucher for us: whoever has been measured already is vouched for anew. Whether `onStandpoint` follows, within
   * half a second, and is worth waiting for.
   */
  vouch(voucher: Buffer | undefined): boolean {
    this.#voucher = voucher;
    this.#claim = undefined;
    // What runs shows the one before.
    if (this.#running) this.#again ??= 'same';
    return voucher !== undefined && (this.#main?.vouch(voucher) ?? false);
  }

  /** Something speaks for another network, here or at the router: it is looked at now. */
  doubt(): void {
    this.#monitor.doubt();
    this.#main?.doubt();
  }

  /** Gives the port back to the router, and its part in the sockets. Never rejects. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  get #over(): boolean {
    return this.#ending.signal.aborted;
  }

  async #stop(): Promise<void> {
    this.#ending.abort();
    this.#monitor.stop();
    this.#timer?.cancel();
    this.#letGo();
    this.#giveBack();
    await this.#givenBack;
  }

  #measure(socket: 'same' | 'fresh'): void {
    if (this.#over) return;
    if (this.#running) {
      if (this.#again !== 'fresh') this.#again = socket;
      return;
    }
    this.#running = true;
    this.#timer?.cancel();
    void this.#measureOnce(socket)
      .catch((error) => {
        this.#options.log.warn('the network could not be measured', {
          problem: asUnderpassError(error).message,
        });
      })
      .then(() => this.#next());
  }

  #next(): void {
    this.#running = false;
    const again = this.#again;
    this.#again = undefined;
    if (this.#over) return;
    if (again !== undefined) {
      this.#measure(again);
      return;
    }
    const works = this.#main !== undefined && !this.#report?.udp_blocked;
    const delay = works ? MEASURE_INTERVAL : this.#blockedInterval;
    this.#blockedInterval = works ? FIRST_BLOCKED_INTERVAL : Math.min(2 * delay, LAST_BLOCKED_INTERVAL);
    this.#timer = this.#options.runtime.setTimer(delay, () => this.#measure('same'));
  }

  async #measureOnce(kind: 'same' | 'fresh'): Promise<void> {
    const { runtime, log } = this.#options;
    this.#servers = (await this.#source?.()) ?? [];
    if (this.#over || this.#servers.length === 0) return;
    // It compares the ways to the servers, too, so that they have to be known.
    this.#monitor.start();
    if (kind === 'fresh') this.#letGo();
    this.#main ??= new HeldSocket(await openShared(4));
    this.#ipv6 ??= await this.#holdIpv6();
    const { socket: main } = this.#main;
    if (this.#over) {
      this.#letGo();
      return;
    }
    // In the background: a router takes its time.
    void this.#forward(main);
    const opened = new Map<DatagramSocket, SharedSocket>();
    const share = (socket: SharedSocket) => {
      const one = socket.share();
      opened.set(one, socket);
      return one;
    };
    const { findings, socket } = await measure({
      servers: this.#servers,
      socket: share(main),
      open: async (family) => share(await openShared(family)),
      runtime,
      log,
      signal: this.#ending.signal,
      onEarly: (early, measured) => {
        // What is known from before is more than that.
        if (this.#findings === undefined) this.#found(early, opened.get(measured), false);
      },
    });
    this.#found(findings, opened.get(socket), true);
    socket.close();
  }

  /** An address of IPv6 does not say that sockets of it can be had. */
  async #holdIpv6(): Promise<HeldSocket | undefined> {
    if (!hasIpv6()) return undefined;
    try {
      return new HeldSocket(await openShared(6));
    } catch (error) {
      this.#options.log.debug('no IPv6', { problem: asUnderpassError(error).message });
      return undefined;
    }
  }

  /** @param measured what the findings are about: the main socket, or one that is to take its place */
  #found(findings: Findings, measured: SharedSocket | undefined, isComplete: boolean): void {
    if (this.#over || measured === undefined) return;
    if (this.#main?.socket !== measured) {
      this.#main?.letGo();
      this.#main = new HeldSocket(measured);
    }
    this.#findings = findings;
    this.#learn(findings.claim);
    this.#isComplete = isComplete;
    this.#say();
    if (isComplete) this.#keep(this.#main);
    void this.#forward(measured);
  }

  /** The mapping that peers are told of has to be there when they come. */
  #keep(main: HeldSocket): void {
    const { stun: server, reflexive } = this.#standpoint?.measured ?? {};
    if (server === undefined || reflexive === undefined) return;
    const measure = () => this.#measure('same');
    const { runtime } = this.#options;
    const isOwn = this.#servers.some(
      ({ voucher, endpoints }) => voucher && endpoints.some((one) => sameEndpoint(one, server)),
    );
    const onVouched = (claim: SourceClaim | undefined) => {
      this.#learn(claim);
      this.#say();
    };
    main.keep({ server, reflexive, runtime, onMoved: measure, onSilent: measure, onVouched }, isOwn);
  }

  /** What is said of an earlier voucher counts for nothing. */
  #learn(claim: SourceClaim | undefined): void {
    if (claim && this.#voucher?.equals(claim.voucher)) this.#claim = claim;
  }

  #letGo(): void {
    this.#main?.letGo();
    this.#ipv6?.letGo();
    this.#main = undefined;
    this.#ipv6 = undefined;
    // That was about sockets which are gone.
    this.#findings = undefined;
    this.#claim = undefined;
    this.#standpoint = undefined;
  }

  /** Has the router forward the socket's port, and no longer another one's. */
  async #forward(socket: SharedSocket): Promise<void> {
    const { runtime, log, portMapping } = this.#options;
    if (!portMapping || this.#forwarded === socket) return;
    this.#forwarded = socket;
    this.#giveBack();
    await this.#givenBack;
    const router = { localPort: socket.local.port, towards: remoteEndpoint(this.#servers), runtime, log };
    const mapper = await findRouter(router, (mapping) => {
      if (this.#mapper !== mapper) return;
      this.#mapping = mapping;
      this.#say();
    });
    if (this.#forwarded !== socket || this.#over) return;
    this.#mapper = mapper;
    // That a router refuses is worth a word, too.
    if (mapper !== undefined && (await mapper.start()) === undefined) this.#say();
  }

  /** Waiting for it is `#givenBack`: a router that has not heard of it keeps the port for hours. */
  #giveBack(): void {
    const mapper = this.#mapper;
    this.#mapper = undefined;
    this.#mapping = undefined;
    if (mapper !== undefined) this.#givenBack = Promise.all([this.#givenBack, mapper.close()]);
  }

  #say(): void {
    if (this.#findings === undefined || this.#over) return;
    const report = reportOf(
      this.#findings,
      this.#mapper && { mapping: this.#mapping, refusal: this.#mapper.refusal },
    );
    this.#stand(report);
    // Half a story would only have to be told again.
    if (!this.#isComplete) return;
    const isNews = this.#report === undefined || essence(report) !== essence(this.#report);
    this.#report = report;
    if (isNews) this.#options.onReport(report);
  }

  #stand(report: NatReport): void {
    const { lanAddresses, onStandpoint } = this.#options;
    if (this.#main === undefined || this.#findings === undefined) return;
    const sockets = { 4: this.#main.socket, ...(this.#ipv6 && { 6: this.#ipv6.socket }) };
    const place = standpointOf({
      ...{ sockets, findings: this.#findings, report, servers: this.#servers },
      lanAddresses,
    });
    const standpoint = { ...place, claim: this.#claim };
    this.#standpoint = standpoint;
    onStandpoint(standpoint);
  }
}

function hasIpv6(): boolean {
  return localInterfaces().some(
    ({ address, family, deadEnd }) => family === 6 && !deadEnd && scopeOf(address) === 'global',
  );
}

/** A report without what differs each time: how long things took, and where a range of ports is estimated to be. */
function essence(report: NatReport): string {
  const servers = report.servers.map(({ server, status }) => `${server} ${status}`);
  const allocation = report.allocation && { ...report.allocation, range: null };
  return JSON.stringify({ ...report, servers, allocation, elapsed_ms: 0, mapping_ms: 0 });
}
