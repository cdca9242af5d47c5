import {
  ROUTER_PORT,
  RouterMapping,
  type RouterMappingOutput,
} from '../../../src/nat/port-mapping/router-mapping.ts';
import { Driver } from '../../../src/net/driver.ts';
import type { Endpoint } from '../../../src/net/endpoint.ts';
import { VirtualRuntime } from '../../support/virtual-runtime.ts';
import { VirtualRouter } from './virtual-router.ts';

export const GATEWAY = '192.168.1.1';
export const LOCAL = '192.168.1.20';
export const PORT = 41234;
export const NONCE = Buffer.from('0102030405060708090a0b0c', 'hex');

/** A machine and a router with a LAN of one millisecond between them, in virtual time. */
export class RouterWorld {
  readonly runtime = new VirtualRuntime();
  readonly router = new VirtualRouter();
  readonly machine = new RouterMapping({
    gateway: GATEWAY,
    localAddress: LOCAL,
    localPort: PORT,
    nonce: NONCE,
  });
  /** What it said, but for packets: `pcp 45.80.1.7:41234`, `unmapped`, `released`. */
  readonly events: string[] = [];
  /** Packets that it sent, by when. */
  readonly sent: { at: number; bytes: Buffer }[] = [];
  /** What becomes of a packet: it is delivered this many times. */
  copies: (bytes: Buffer, direction: 'out' | 'in') => number = () => 1;
  delay = 1;
  answersFrom: Endpoint = { address: GATEWAY, port: ROUTER_PORT };
  readonly #driver: Driver<RouterMappingOutput>;

  constructor() {
    this.#driver = new Driver(this.machine, this.runtime, (output) => this.#perform(output));
  }

  start(): void {
    this.machine.start(this.runtime.now());
    this.#driver.pump();
  }

  release(): void {
    this.machine.release(this.runtime.now());
    this.#driver.pump();
  }

  unreachable(): void {
    this.machine.unreachable(this.runtime.now());
    this.#driver.pump();
  }

  /** Something arrives from the router, or from somebody else. */
  deliver(bytes: Buffer, from = this.answersFrom): void {
    this.machine.receive(bytes, from, this.runtime.now());
    this.#driver.pump();
  }

  advance(milliseconds: number): void {
    this.runtime.advance(milliseconds);
  }

  get last(): string | undefined {
    return this.events.at(-1);
  }

  #perform(output: RouterMappingOutput): void {
    if (output.type === 'send') this.#send(output.bytes);
    else if (output.type !== 'mapped') this.events.push(output.type);
    else this.events.push(`${output.mapping.protocol} ${output.mapping.external_address}`);
  }

  #send(bytes: Buffer): void {
    this.sent.push({ at: this.runtime.now(), bytes });
    for (let i = this.copies(bytes, 'out'); i > 0; i--) {
      this.runtime.setTimer(this.delay, () => {
        for (const answer of this.router.answer(bytes)) this.#return(answer);
      });
    }
  }

  #return(answer: Buffer): void {
    const from = this.answersFrom;
    for (let i = this.copies(answer, 'in'); i > 0; i--)
      this.runtime.setTimer(this.delay, () => this.deliver(answer, from));
  }
}

export function world(change: (world: RouterWorld) => void = () => {}): RouterWorld {
  const made = new RouterWorld();
  change(made);
  return made;
}
