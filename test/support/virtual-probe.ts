import { type Endpoint, sameEndpoint } from '../../src/net/endpoint.ts';
import { ipFromBytes } from '../../src/net/ip.ts';
import type { Random } from './random.ts';
import type { VirtualHost, VirtualSocket } from './virtual-host.ts';
import type { Dependence } from './virtual-nat.ts';
import type { VirtualRuntime } from './virtual-runtime.ts';

/** Longer than a round trip of the tests, in milliseconds. */
const PATIENCE = 100;

const CHANGE = { address: 4, port: 2 } as const;

/** A server's endpoints: two ports of one address, then those of the other. */
export type FourEndpoints = readonly [Endpoint, Endpoint, Endpoint, Endpoint];

export interface ProbeAnswer {
  readonly mapped: Endpoint;
  readonly from: Endpoint;
}

/**
 * RFC 5780 section 4 the slow way: one question at a time, with a codec of its own, and nothing of the project's discovery. It
 * checks what the pretended NATs are, and moves the clock while it waits.
 */
export class VirtualProbe {
  readonly #runtime: VirtualRuntime;
  readonly #random: Random;
  readonly #host: VirtualHost;
  readonly #family: 4 | 6;

  constructor(runtime: VirtualRuntime, random: Random, host: VirtualHost, family: 4 | 6 = 4) {
    this.#runtime = runtime;
    this.#random = random;
    this.#host = host;
    this.#family = family;
  }

  open(port?: number): VirtualSocket {
    return this.#host.open({ family: this.#family, ...(port === undefined ? {} : { port }) });
  }

  /** What a server saw of this socket. `change`: asks for an answer from elsewhere (CHANGE-REQUEST). */
  ask(socket: VirtualSocket, to: Endpoint, change = 0): ProbeAnswer | undefined {
    return this.askAll([[socket, to]], change)[0]?.[0];
  }

  /** All questions at once; for each the answers, in the order of their arrival. */
  askAll(questions: readonly (readonly [VirtualSocket, Endpoint])[], change = 0): ProbeAnswer[][] {
    const answers = questions.map(([socket, to]) => {
      const id = this.#random.bytes(12);
      const heard: ProbeAnswer[] = [];
      socket.onDatagram = also(socket.onDatagram, (bytes, from) => {
        const mapped = bytes.subarray(8, 20).equals(id) ? mappedIn(bytes) : undefined;
        if (mapped) heard.push({ mapped, from });
      });
      socket.send(bindingRequest(id, change), to);
      return heard;
    });
    this.#runtime.advance(PATIENCE);
    for (const [socket] of questions) socket.onDatagram = undefined;
    return answers;
  }

  /** RFC 5780 section 4.3. */
  mapping([primary, , otherAddress, other]: FourEndpoints): Dependence | 'none' | 'unknown' {
    const socket = this.open();
    const [first, second, third] = [primary, otherAddress, other].map((to) => this.ask(socket, to)?.mapped);
    if (first === undefined || second === undefined || third === undefined) return 'unknown';
    if (sameEndpoint(first, socket.local)) return 'none';
    if (sameEndpoint(first, second) && sameEndpoint(second, third)) return 'endpoint-independent';
    return sameEndpoint(second, third) ? 'address-dependent' : 'address-and-port-dependent';
  }

  /** RFC 5780 section 4.4. */
  filtering([primary]: FourEndpoints): Dependence | 'unknown' {
    const socket = this.open();
    if (this.ask(socket, primary) === undefined) return 'unknown';
    if (this.ask(socket, primary, CHANGE.address | CHANGE.port)) return 'endpoint-independent';
    return this.ask(socket, primary, CHANGE.port) ? 'address-dependent' : 'address-and-port-dependent';
  }

  /** External ports of fresh sockets, in the order of their packets. */
  ports([primary]: FourEndpoints, count: number): number[] {
    const questions = Array.from({ length: count }, () => [this.open(), primary] as const);
    return this.askAll(questions).map(([answer]) => answer?.mapped.port ?? 0);
  }

  /** Whether a stranger's packet that came first spoils the mapping towards it. */
  poisonable([primary, , , stranger]: FourEndpoints): boolean {
    const socket = this.open();
    const before = this.ask(socket, primary)?.mapped.port;
    this.ask(socket, primary, CHANGE.address | CHANGE.port);
    return this.ask(socket, stranger)?.mapped.port !== before;
  }
}

type Listener = NonNullable<VirtualSocket['onDatagram']>;

function also(first: Listener | undefined, second: Listener): Listener {
  return (bytes, from) => {
    first?.(bytes, from);
    second(bytes, from);
  };
}

/** A Binding request (RFC 8489 section 5), long enough not to be outgrown by its answer. */
function bindingRequest(id: Buffer, change: number): Buffer {
  const body = [Buffer.from('80220040', 'hex'), Buffer.alloc(64, ' ')];
  if (change > 0) body.push(Buffer.from([0x00, 0x03, 0x00, 0x04, 0, 0, 0, change]));
  const header = Buffer.from('000100002112a442', 'hex');
  header.writeUInt16BE(change > 0 ? 76 : 68, 2);
  return Buffer.concat([header, id, ...body]);
}

/** XOR-MAPPED-ADDRESS (RFC 8489 section 14.2) of a success response. */
function mappedIn(bytes: Buffer): Endpoint | undefined {
  if (bytes.readUInt16BE(0) !== 0x0101) return undefined;
  for (let at = 20; at + 4 <= bytes.length; at += 4 + ((bytes.readUInt16BE(at + 2) + 3) & ~3)) {
    if (bytes.readUInt16BE(at) !== 0x0020) continue;
    const value = bytes.subarray(at + 4, at + 4 + bytes.readUInt16BE(at + 2));
    const mask = bytes.subarray(4, 20);
    const address = Buffer.from(value.subarray(4).map((byte, i) => byte ^ (mask[i] ?? 0)));
    return { address: ipFromBytes(address), port: value.readUInt16BE(2) ^ 0x2112 };
  }
  return undefined;
}
