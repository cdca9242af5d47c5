import type { Logger } from '../log.ts';
import { Driver } from '../net/driver.ts';
import { type Endpoint, familyOf } from '../net/endpoint.ts';
import { localInterfaces } from '../net/interfaces.ts';
import { askForRefusal, type Inquiry } from '../net/refusal.ts';
import { localAddressTowards } from '../net/route.ts';
import type { Runtime } from '../net/runtime.ts';
import { type DatagramSocket, UdpSocket } from '../net/udp-socket.ts';
import { Discovery, type DiscoveryOutput } from './discovery.ts';
import { findingsOf } from './findings.ts';
import type { Findings } from './report.ts';
import { encodeStun } from './stun.ts';

/** A STUN server by name, and all endpoints that are known of it. None: its name is not known, or it could not be asked. */
export interface NamedServer {
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
  /** What it gave this client to show to it; nobody else is shown it. */
  readonly voucher?: Buffer | undefined;
}

export interface MeasureOptions {
  /** In the order of trust. */
  readonly servers: readonly NamedServer[];
  /** The socket to measure, of IPv4; others may use it as well, each through a share of their own. */
  readonly socket: DatagramSocket;
  /** Opens others. `UdpSocket.open` where nobody else is to use them. */
  readonly open?: (family: 4 | 6) => Promise<DatagramSocket>;
  readonly runtime: Runtime;
  readonly log: Logger;
  /**
   * Told, once at most, when hole punching can begin: long before the end, two to four round trips after the beginning. Mapping,
   * allocation, reflexive address, arming TTL and socket are those of the measurement, which goes on; of filtering there is what
   * is let in at least, or `unknown`; of the rest what is known by then. Not called where it takes until the end.
   */
  readonly onEarly?: ((findings: Findings, socket: DatagramSocket) => void) | undefined;
  /** Ends it early, with what is known by then. */
  readonly signal?: AbortSignal | undefined;
}

export interface Measurement {
  readonly findings: Findings;
  /** The socket that the findings are about: the one that was given, or a better one, and that one is closed then. */
  readonly socket: DatagramSocket;
}

/** Runs one discovery over real sockets: at most 1.5 s. Never rejects. */
export async function measure(options: MeasureOptions): Promise<Measurement> {
  const { servers } = options;
  const towards = servers.flatMap(({ endpoints }) => endpoints).find((one) => familyOf(one) === 4);
  const localAddress = towards && (await localAddressTowards(towards));
  // First of all: a machine refuses a few times only, and then rests for a second.
  const inquiries = await Promise.all(
    servers.flatMap(({ endpoints }, server) => endpoints.map((to) => inquire(server, to, options))),
  );
  return new Promise((resolve) => {
    const run = new Run(options, localAddress, resolve);
    run.start();
    for (const { server, refused } of inquiries) void refused.then((is) => is && run.refused(server));
  });
}

/** From a socket of its own: the measured one must never be connected. */
async function inquire(
  server: number,
  to: Endpoint,
  { runtime, signal }: MeasureOptions,
): Promise<Inquiry & { readonly server: number }> {
  const question = encodeStun({ class: 'request', transactionId: runtime.randomBytes(12) });
  const { refused } = await askForRefusal(to, question, signal);
  return { server, refused };
}

class Run {
  readonly #options: MeasureOptions;
  readonly #localAddress: string | undefined;
  readonly #resolve: (measurement: Measurement) => void;
  readonly #discovery: Discovery;
  readonly #driver: Driver<DiscoveryOutput>;
  readonly #sockets = new Map<number, DatagramSocket>();
  readonly #abort = () => this.#finish();
  #given = false;
  #over = false;
  #startedAt = 0;

  constructor(
    options: MeasureOptions,
    localAddress: string | undefined,
    resolve: (measurement: Measurement) => void,
  ) {
    const { servers, runtime } = options;
    this.#options = options;
    this.#localAddress = localAddress;
    this.#resolve = resolve;
    this.#discovery = new Discovery({
      servers,
      localAddress,
      localAddresses: localInterfaces().map(({ address }) => address),
      randomBytes: (size) => runtime.randomBytes(size),
    });
    this.#driver = new Driver(this.#discovery, runtime, (output) => this.#perform(output));
  }

  start(): void {
    const { runtime, signal } = this.#options;
    if (signal?.aborted) {
      this.#finish();
      return;
    }
    signal?.addEventListener('abort', this.#abort, { once: true });
    this.#startedAt = runtime.now();
    this.#input((now) => this.#discovery.start(now));
  }

  refused(server: number): void {
    this.#input(() => this.#discovery.refused(server));
  }

  #perform(output: DiscoveryOutput): void {
    switch (output.type) {
      case 'open':
        void this.#open(output.socket, output.family);
        break;
      case 'send': {
        const { socket, bytes, to, ttl } = output;
        this.#sockets.get(socket)?.send(bytes, to, ttl === undefined ? {} : { ttl });
        break;
      }
      case 'early':
        this.#options.onEarly?.(this.#findings(), this.#mainSocket());
        break;
      case 'done':
        this.#finish();
        break;
    }
  }

  /** The first socket that is asked for is the one to be measured. */
  async #open(id: number, family: 4 | 6): Promise<void> {
    const first = !this.#given;
    this.#given = true;
    let socket: DatagramSocket;
    try {
      const { socket: given, open = (family) => UdpSocket.open({ family }) } = this.#options;
      socket = first ? given : await open(family);
    } catch (error) {
      this.#options.log.debug('a socket could not be opened', { problem: String(error) });
      this.#input((now) => this.#discovery.failed(id, now));
      return;
    }
    if (this.#over) return socket.close();
    this.#sockets.set(id, socket);
    socket.onPacket('stun', (bytes, from) => {
      this.#input((now) => this.#discovery.receive(id, from, bytes, now));
    });
    this.#input((now) => this.#discovery.opened(id, socket.local.port, now));
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#driver.stop();
    const { signal, socket: given } = this.#options;
    signal?.removeEventListener('abort', this.#abort);
    const main = this.#mainSocket();
    for (const socket of new Set([...this.#sockets.values(), given])) {
      socket.onPacket('stun', undefined);
      if (socket !== main) socket.close();
    }
    this.#resolve({ socket: main, findings: this.#findings() });
  }

  #mainSocket(): DatagramSocket {
    return this.#sockets.get(this.#discovery.mainSocket ?? -1) ?? this.#options.socket;
  }

  #findings(): Findings {
    const { runtime, servers } = this.#options;
    const elapsed = runtime.now() - this.#startedAt;
    return findingsOf(this.#discovery, servers, this.#localAddress, elapsed);
  }

  #input(give: (now: number) => void): void {
    if (this.#over) return;
    give(this.#options.runtime.now());
    this.#driver.pump();
  }
}
