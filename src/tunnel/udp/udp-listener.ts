import type { RemoteInfo } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { formatAddress } from '../../net/address.ts';
import { Driver } from '../../net/driver.ts';
import { listenError } from '../../net/listen-error.ts';
import type { Runtime, Timer } from '../../net/runtime.ts';
import { type FlowEntry, FlowTable } from './flow-table.ts';
import { ListeningSocket } from './listening-socket.ts';
import { addressesToBind, isWildcard } from './local-addresses.ts';

/** Applications' sockets at a time. */
const MAX_FLOWS = 4096;

/** How often to look for addresses that have come or gone, milliseconds. */
const LOOK = 5000;

/** Ports to try where any will do, but the same one is needed at every address. */
const PORT_TRIES = 16;

export interface UdpListenerOptions {
  readonly runtime: Runtime;
  /** An application has sent this. Its bytes are the handler's. */
  readonly onDatagram: (flow: number, payload: Buffer) => void;
  /** How long a flow stays after its last packet in either direction, milliseconds. */
  readonly idle: number;
  /** Default 4,096. */
  readonly maxFlows?: number | undefined;
  /** What a host stands for; tests have machines of their own. */
  readonly addresses?: (host: string) => readonly string[];
}

/** An address that applications send to, and who they are. */
interface Place {
  readonly socket: ListeningSocket;
  /** By `source`. */
  readonly flows: Map<string, Flow>;
  /** The one that was heard last: most often the one that is heard next. */
  last: Flow | undefined;
}

/** An application's socket, as seen from here. */
interface Flow {
  readonly id: number;
  readonly place: Place;
  readonly address: string;
  readonly port: number;
}

/**
 * A subscriber's local UDP port. Each socket that sends to it is a flow with a number, and gets what is sent to that number, from
 * the address that it has sent to. No error of the network ends it.
 */
export class UdpListener {
  readonly #options: UdpListenerOptions;
  readonly #places = new Map<string, Place>();
  readonly #flows: FlowTable<number, Flow>;
  readonly #driver: Driver<FlowEntry<number, Flow>>;
  #host = '';
  #port = 0;
  #nextFlow = 0;
  #dropped = 0;
  #look: Timer | undefined;
  #closed = false;

  constructor(options: UdpListenerOptions) {
    this.#options = options;
    const { idle, maxFlows = MAX_FLOWS, runtime } = options;
    this.#flows = new FlowTable({ idle, limit: maxFlows });
    this.#driver = new Driver(this.#flows, runtime, ({ value }) => this.#forget(value));
  }

  /** Applications' sockets that are known. */
  get flowCount(): number {
    return this.#flows.size;
  }

  /** Datagrams for applications that could not be given to them. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Binds the port and resolves with `host:port`. Rejects with `port_in_use` or `listen_failed`. Once. */
  async listen(host: string, port: number): Promise<string> {
    try {
      this.#host = isIP(host) === 0 ? (await lookup(host)).address : host;
      await this.#openAll(port);
    } catch (error) {
      this.close();
      throw listenError(error as NodeJS.ErrnoException, host, port);
    }
    if (isWildcard(this.#host)) this.#lookLater();
    return formatAddress(this.#host, this.#port);
  }

  /** Gives a payload to the application whose flow this is. It may be gone. */
  send(flow: number, payload: Buffer): void {
    const known = this.#flows.touch(flow, this.#options.runtime.now());
    if (known?.place.socket.send(payload, known.port, known.address) !== true) this.#dropped += 1;
  }

  /** Looks for addresses that have come or gone, which it also does by itself every few seconds. */
  async refresh(): Promise<void> {
    if (this.#closed || !isWildcard(this.#host)) return;
    const addresses = this.#addresses();
    for (const [address, { socket, flows }] of this.#places) {
      // An address may come back: until then the socket does no harm, and its flows go by themselves.
      if (addresses.includes(address) || flows.size > 0) continue;
      socket.close();
      this.#places.delete(address);
    }
    const fresh = addresses.filter((address) => !this.#places.has(address));
    // One that cannot be bound now is tried again the next time.
    await Promise.allSettled(fresh.map((address) => this.#open(address, this.#port)));
  }

  close(): void {
    this.#closed = true;
    this.#look?.cancel();
    this.#driver.stop();
    for (const { socket } of this.#places.values()) socket.close();
    this.#places.clear();
    this.#flows.clear();
  }

  #addresses(): readonly string[] {
    return (this.#options.addresses ?? addressesToBind)(this.#host);
  }

  async #openAll(port: number): Promise<void> {
    for (let tries = port === 0 ? PORT_TRIES : 1; ; tries--) {
      const failure = await this.#tryAll(port);
      if (failure === undefined) return;
      for (const { socket } of this.#places.values()) socket.close();
      this.#places.clear();
      if (tries === 1 || failure.code !== 'EADDRINUSE') throw failure;
    }
  }

  /** Binds all addresses that there are. Not to get one of several is a failure only where somebody else has the port. */
  async #tryAll(port: number): Promise<NodeJS.ErrnoException | undefined> {
    this.#port = port;
    let failure: NodeJS.ErrnoException | undefined;
    for (const address of this.#addresses()) {
      try {
        this.#port = await this.#open(address, this.#port);
      } catch (error) {
        failure = error as NodeJS.ErrnoException;
        if (failure.code === 'EADDRINUSE') return failure;
      }
    }
    if (this.#places.size > 0) return undefined;
    return failure ?? Object.assign(new Error('no address'), { code: 'EADDRNOTAVAIL' });
  }

  async #open(address: string, port: number): Promise<number> {
    const { runtime } = this.#options;
    const socket = new ListeningSocket({
      ...{ runtime, address },
      onMessage: (bytes, from) => this.#onMessage(place, bytes, from),
    });
    const place: Place = { socket, flows: new Map(), last: undefined };
    const bound = await socket.open(port);
    if (this.#closed || this.#places.has(address)) socket.close();
    else this.#places.set(address, place);
    return bound;
  }

  #lookLater(): void {
    this.#look = this.#options.runtime.setTimer(LOOK, () => {
      void this.refresh();
      if (!this.#closed) this.#lookLater();
    });
  }

  #onMessage(place: Place, bytes: Buffer, { address, port }: RemoteInfo): void {
    const now = this.#options.runtime.now();
    let flow = place.last;
    if (flow === undefined || flow.port !== port || flow.address !== address)
      flow = place.flows.get(source(port, address));
    if (flow === undefined) flow = this.#begin(place, address, port, now);
    else this.#flows.touch(flow.id, now);
    place.last = flow;
    this.#options.onDatagram(flow.id, bytes);
  }

  #begin(place: Place, address: string, port: number, now: number): Flow {
    const id = this.#nextFlow;
    this.#nextFlow = (id + 1) >>> 0;
    const flow = { id, place, address, port };
    place.flows.set(source(port, address), flow);
    this.#flows.add(id, flow, now);
    this.#driver.pump();
    return flow;
  }

  #forget({ place, address, port }: Flow): void {
    const key = source(port, address);
    if (place.last === place.flows.get(key)) place.last = undefined;
    place.flows.delete(key);
  }
}

function source(port: number, address: string): string {
  return `${port} ${address}`;
}
