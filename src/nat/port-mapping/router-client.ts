import { createSocket, type Socket } from 'node:dgram';
import { Driver } from '../../net/driver.ts';
import type { Runtime } from '../../net/runtime.ts';
import type { PortMapping, Refusal } from '../report.ts';
import { NONCE_SIZE } from './pcp.ts';
import { ROUTER_PORT, RouterMapping, type RouterMappingOutput } from './router-mapping.ts';

/** What is to be mapped, and where. Both addresses are IPv4. */
export interface RouterPath {
  readonly runtime: Runtime;
  /** The router's address towards us. */
  readonly gateway: string;
  /** Ours towards the router. */
  readonly localAddress: string;
  /** The UDP port that is to be reached from outside. */
  readonly localPort: number;
}

/** A UDP port mapping by PCP or NAT-PMP, on a socket of its own that exists only while there is something to say. */
export class RouterClient {
  readonly #path: RouterPath;
  readonly #onChange: (mapping: PortMapping | undefined) => void;
  readonly #machine: RouterMapping;
  readonly #driver: Driver<RouterMappingOutput>;
  #socket: Socket | undefined;
  #asked: ((mapping: PortMapping | undefined) => void) | undefined;
  #releasing: Promise<void> | undefined;
  #released: (() => void) | undefined;

  /** `onChange`: a mapping has become another one, or is lost. */
  constructor(path: RouterPath, onChange: (mapping: PortMapping | undefined) => void) {
    this.#path = path;
    this.#onChange = onChange;
    const { runtime } = path;
    this.#machine = new RouterMapping({ ...path, nonce: runtime.randomBytes(NONCE_SIZE) });
    this.#driver = new Driver(this.#machine, runtime, (output) => this.#perform(output));
  }

  get refusals(): readonly Refusal[] {
    return this.#machine.refusals;
  }

  /** Asks for a mapping, for at most 250 ms or until it is released, and then keeps it. Never rejects. */
  async ask(): Promise<PortMapping | undefined> {
    if (this.#releasing) return undefined;
    return new Promise((resolve) => {
      this.#asked = resolve;
      this.#open((now) => this.#machine.start(now));
    });
  }

  /** Gives it back, for good; at most 300 ms. Never rejects. */
  release(): Promise<void> {
    this.#releasing ??= new Promise((resolve) => {
      this.#released = resolve;
      this.#asked?.(undefined);
      this.#input((now) => this.#machine.release(now));
    });
    return this.#releasing;
  }

  /** Connected, the system itself drops what others send, and tells when nobody listens at the router. */
  #open(start: (now: number) => void): void {
    const socket = createSocket('udp4');
    this.#socket = socket;
    let connected = false;
    socket.on('message', (bytes, { address, port }) =>
      this.#input((now) => this.#machine.receive(bytes, { address, port }, now)),
    );
    socket.on('error', () => {
      if (connected) this.#refused(socket);
      else this.#settle(undefined);
    });
    socket.once('connect', () => {
      connected = true;
      if (socket === this.#socket) this.#input(start);
    });
    socket.once('listening', () => socket.connect(ROUTER_PORT, this.#path.gateway));
    socket.bind({ address: this.#path.localAddress, port: 0 });
  }

  #perform(output: RouterMappingOutput): void {
    switch (output.type) {
      case 'send':
        this.#send(output.bytes);
        break;
      case 'mapped':
        this.#settle(output.mapping);
        break;
      case 'unmapped':
        this.#settle(undefined);
        break;
      case 'released':
        this.#close();
        this.#driver.stop();
        this.#released?.();
        break;
    }
  }

  #send(bytes: Buffer): void {
    const socket = this.#socket;
    // That a packet was refused comes with the next one, or as an event where there is none.
    socket?.send(bytes, (error) => {
      if (error) this.#refused(socket);
    });
  }

  #refused(socket: Socket): void {
    if (socket === this.#socket) this.#input((now) => this.#machine.unreachable(now));
  }

  #settle(mapping: PortMapping | undefined): void {
    const asked = this.#asked;
    this.#asked = undefined;
    if (!mapping) this.#close();
    if (asked) asked(mapping);
    else this.#onChange(mapping);
  }

  #close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }

  #input(give: (now: number) => void): void {
    give(this.#path.runtime.now());
    this.#driver.pump();
  }
}
