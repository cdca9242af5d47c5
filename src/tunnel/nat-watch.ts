import { asUnderpassError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { measure, type NamedServer } from '../nat/client.ts';
import type { PortMapper } from '../nat/port-mapping/client.ts';
import { type Findings, type NatReport, type PortMapping, reportOf } from '../nat/report.ts';
import { NetworkMonitor, networkSnapshot } from '../net/network-monitor.ts';
import type { Runtime, Timer } from '../net/runtime.ts';
import { type DatagramSocket, UdpSocket } from '../net/udp-socket.ts';
import { findRouter } from './port-forwarding.ts';
import { remoteEndpoint } from './stun-servers.ts';

/** How often the network is measured though nothing seems to have changed, and where UDP did not work, in milliseconds. */
const MEASURE_INTERVAL = 300_000;
const BLOCKED_INTERVAL = 60_000;

export interface NatWatchOptions {
  readonly runtime: Runtime;
  readonly log: Logger;
  /** Whether the router is asked to forward the port. */
  readonly portMapping: boolean;
  /** There is something new to say. */
  readonly onReport: (report: NatReport) => void;
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
  #socket: DatagramSocket | undefined;
  #mapper: PortMapper | undefined;
  #givenBack: Promise<unknown> = Promise.resolve();
  /** The socket whose port the router is asked to forward. */
  #forwarded: DatagramSocket | undefined;
  #findings: Findings | undefined;
  #mapping: PortMapping | undefined;
  #report: NatReport | undefined;
  /** A measurement is running; whether another has to follow, on a fresh socket or not. */
  #running = false;
  #again: 'same' | 'fresh' | undefined;
  #timer: Timer | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: NatWatchOptions) {
    this.#options = options;
    const snapshot = () => networkSnapshot(this.#servers.flatMap(({ endpoints }) => endpoints.slice(0, 1)));
    this.#monitor = new NetworkMonitor(
      { runtime: options.runtime, snapshot, wallClock: Date.now },
      (reason) => {
        options.log.info('the network changed', { reason });
        this.#measure('fresh');
      },
    );
  }

  /** The newest report, once there is one. */
  get report(): NatReport | undefined {
    return this.#report;
  }

  /** Begins, or goes on with other servers. */
  watch(source: StunServerSource): void {
    this.#source = source;
    this.#measure('same');
  }

  /** Gives the port back to the router and closes the socket. Never rejects. */
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
    this.#socket?.close();
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
    const works = this.#socket !== undefined && !this.#report?.udp_blocked;
    const delay = works ? MEASURE_INTERVAL : BLOCKED_INTERVAL;
    this.#timer = this.#options.runtime.setTimer(delay, () => this.#measure('same'));
  }

  async #measureOnce(kind: 'same' | 'fresh'): Promise<void> {
    const { runtime, log } = this.#options;
    this.#servers = (await this.#source?.()) ?? [];
    if (this.#over || this.#servers.length === 0) return;
    // It compares the ways to the servers, too, so that they have to be known.
    this.#monitor.start();
    if (kind === 'fresh') {
      this.#socket?.close();
      this.#socket = undefined;
    }
    const given = this.#socket ?? (await UdpSocket.open({ family: 4 }));
    this.#socket = given;
    if (this.#over) {
      given.close();
      return;
    }
    // In the background: a router takes its time.
    void this.#forward(given);
    const { signal } = this.#ending;
    const { findings, socket } = await measure({
      servers: this.#servers,
      socket: given,
      runtime,
      log,
      signal,
    });
    if (this.#over) {
      socket.close();
      return;
    }
    this.#socket = socket;
    this.#findings = findings;
    this.#say();
    void this.#forward(socket);
  }

  /** Has the router forward the socket's port, and no longer another one's. */
  async #forward(socket: DatagramSocket): Promise<void> {
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
    const isNews = this.#report === undefined || essence(report) !== essence(this.#report);
    this.#report = report;
    if (isNews) this.#options.onReport(report);
  }
}

/** A report without what differs each time: how long things took, and where a range of ports is estimated to be. */
function essence(report: NatReport): string {
  const servers = report.servers.map(({ server, status }) => `${server} ${status}`);
  const allocation = report.allocation && { ...report.allocation, range: null };
  return JSON.stringify({ ...report, servers, allocation, elapsed_ms: 0, mapping_ms: 0 });
}
