import { isIPv6 } from 'node:net';
import { UnderpassError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { localInterfaces } from '../net/interfaces.ts';
import { scopeOf } from '../net/ip.ts';
import type { Runtime } from '../net/runtime.ts';
import { UdpSocket } from '../net/udp-socket.ts';
import { listenAddresses } from './listen-addresses.ts';
import { Responder } from './responder.ts';
import type { SourceProofs } from './source-proofs.ts';

export interface StunServerOptions {
  /** Of this machine, wildcards among them. By default all that it has now, which others may call something else. */
  readonly addresses?: readonly string[] | undefined;
  /** What others call each of `addresses`; by default the same. */
  readonly publicAddresses?: readonly string[] | undefined;
  /** 0 lets the system choose. */
  readonly ports: readonly number[];
  /** For clients that show a voucher. */
  readonly proofs?: SourceProofs | undefined;
}

/** A STUN server that answers. */
export interface StunServer {
  /** As clients are told. Those that nobody named are left out: whoever reached the server knows where. */
  readonly addresses: readonly string[];
  readonly ports: readonly number[];
  /** How many answers it has given. */
  readonly answered: number;
  close(): void;
}

/** Answers STUN on every port of every address. Rejects with `port_in_use` or `listen_failed`, and has nothing open then. */
export async function startStunServer(
  options: StunServerOptions,
  runtime: Runtime,
  log: Logger,
): Promise<StunServer> {
  const server = new Server(runtime);
  try {
    const bound = await server.open(options);
    log.info('answering STUN', { addresses: bound.join(' '), ports: server.ports.join(' ') });
  } catch (error) {
    server.close();
    throw error;
  }
  return server;
}

/** The sockets of one address, one for each port. */
interface Row {
  readonly address: string;
  /** What others call it, where that is known. */
  readonly name: string | undefined;
  readonly sockets: readonly UdpSocket[];
}

class Server implements StunServer {
  answered = 0;
  addresses: readonly string[] = [];
  ports: readonly number[] = [];
  readonly #runtime: Runtime;
  readonly #sockets: UdpSocket[] = [];

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Resolves with the addresses that it listens on. */
  async open(options: StunServerOptions): Promise<readonly string[]> {
    const rows = await (options.addresses === undefined
      ? this.#bindAll(options.ports)
      : this.#bindNamed(options.addresses, options));
    this.addresses = rows.flatMap(({ name }) => name ?? []);
    for (const ofIPv6 of [true, false]) {
      this.#answer(
        rows.filter(({ address }) => isIPv6(address) === ofIPv6),
        options.proofs,
      );
    }
    return rows.map(({ address }) => address);
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }

  async #bindNamed(
    addresses: readonly string[],
    { publicAddresses = addresses, ports }: StunServerOptions,
  ): Promise<Row[]> {
    const rows: Row[] = [];
    for (const [i, address] of addresses.entries()) {
      const name = publicAddresses[i] ?? address;
      const sockets = await this.#bindPorts(address, ports);
      rows.push({ address, name: isWildcard(name) ? undefined : name, sockets });
    }
    return rows;
  }

  /** One that went away since it was listed is not missed, unless it was the last. */
  async #bindAll(ports: readonly number[]): Promise<Row[]> {
    const rows: Row[] = [];
    let gone: unknown;
    for (const address of listenAddresses(localInterfaces())) {
      try {
        rows.push({ address, name: undefined, sockets: await this.#bindPorts(address, ports) });
      } catch (error) {
        if (!isGone(error)) throw error;
        gone = error;
      }
    }
    if (rows.length === 0) throw gone;
    return rows;
  }

  async #bindPorts(host: string, ports: readonly number[]): Promise<UdpSocket[]> {
    // What the system chose for the first address holds for the others.
    const wanted = this.ports.length > 0 ? this.ports : ports;
    const sockets: UdpSocket[] = [];
    for (const port of wanted) {
      const socket = await UdpSocket.open({ family: isIPv6(host) ? 6 : 4, host, port });
      this.#sockets.push(socket);
      sockets.push(socket);
    }
    this.ports = sockets.map(({ local }) => local.port);
    return sockets;
  }

  /** Of one family: an answer may have to come from another address, but never from one of the other family. */
  #answer(rows: readonly Row[], proofs: SourceProofs | undefined): void {
    const responder = new Responder({ addresses: rows.map(({ name }) => name), ports: this.ports }, proofs);
    rows.forEach(({ sockets }, address) => {
      sockets.forEach((socket, port) => {
        socket.onPacket('stun', (bytes, from) => {
          const answer = responder.respond(bytes, from, { address, port }, this.#runtime.now());
          if (answer === undefined) return;
          this.answered++;
          rows[answer.address]?.sockets[answer.port]?.send(answer.bytes, from);
        });
      });
    });
  }
}

function isGone(error: unknown): boolean {
  return error instanceof UnderpassError && error.details.problem === 'EADDRNOTAVAIL';
}

function isWildcard(address: string): boolean {
  return scopeOf(address) === 'unspecified';
}
