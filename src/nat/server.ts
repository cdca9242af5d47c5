import { isIPv6 } from 'node:net';
import type { Logger } from '../log.ts';
import { scopeOf } from '../net/ip.ts';
import type { Runtime } from '../net/runtime.ts';
import { UdpSocket } from '../net/udp-socket.ts';
import { Responder } from './responder.ts';

export interface StunServerOptions {
  /** Of this machine, wildcards among them. */
  readonly addresses: readonly string[];
  /** What others call each of them; by default the same. */
  readonly publicAddresses?: readonly string[] | undefined;
  /** 0 lets the system choose. */
  readonly ports: readonly number[];
}

/** A STUN server that answers. */
export interface StunServer {
  /** As clients are told. Wildcards are left out: whoever reached the server knows where. */
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
    await server.open(options);
  } catch (error) {
    server.close();
    throw error;
  }
  log.info('answering STUN', { addresses: options.addresses.join(' '), ports: server.ports.join(' ') });
  return server;
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

  async open({ addresses, publicAddresses = addresses, ports }: StunServerOptions): Promise<void> {
    const bound = new Map<string, UdpSocket[]>();
    for (const address of addresses) {
      // What the system chose for the first address holds for the others.
      const wanted = this.ports.length > 0 ? this.ports : ports;
      const row: UdpSocket[] = [];
      for (const port of wanted) row.push(await this.#bind(address, port));
      this.ports = row.map(({ local }) => local.port);
      bound.set(address, row);
    }
    const announced = new Map(addresses.map((address, i) => [address, publicAddresses[i] ?? address]));
    this.addresses = [...announced.values()].filter((address) => !isWildcard(address));
    for (const isOfFamily of [isIPv6, (address: string) => !isIPv6(address)]) {
      const family = addresses.filter(isOfFamily);
      const shown = family.map((address) => {
        const name = announced.get(address) ?? address;
        return isWildcard(name) ? undefined : name;
      });
      this.#answer(
        family.map((address) => bound.get(address) ?? []),
        new Responder({ addresses: shown, ports: this.ports }),
      );
    }
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }

  async #bind(host: string, port: number): Promise<UdpSocket> {
    const socket = await UdpSocket.open({ family: isIPv6(host) ? 6 : 4, host, port });
    this.#sockets.push(socket);
    return socket;
  }

  /** `sockets[address][port]` of one family. */
  #answer(sockets: readonly (readonly UdpSocket[])[], responder: Responder): void {
    sockets.forEach((row, address) => {
      row.forEach((socket, port) => {
        socket.onPacket('stun', (bytes, from) => {
          const answer = responder.respond(bytes, from, { address, port }, this.#runtime.now());
          if (answer === undefined) return;
          this.answered++;
          sockets[answer.address]?.[answer.port]?.send(answer.bytes, from);
        });
      });
    });
  }
}

function isWildcard(address: string): boolean {
  return scopeOf(address) === 'unspecified';
}
