import { type Place, Responder } from '../../src/nat/responder.ts';
import { ATTRIBUTE, decodeStun, encodeStun } from '../../src/nat/stun.ts';
import { encodeAddress, encodeXorAddress, mappedAddress } from '../../src/nat/stun-address.ts';
import type { Endpoint } from '../../src/net/endpoint.ts';
import type { Runtime } from '../../src/net/runtime.ts';
import type { VirtualHost, VirtualSocket } from './virtual-host.ts';
import type { Packet } from './virtual-router.ts';

/** Where a STUN server answers: every port of every address. Two of each serve RFC 5780. */
export interface StunPlaces {
  readonly addresses: readonly string[];
  readonly ports: readonly number[];
}

/** How it misbehaves. */
export interface StunManners {
  /** Hears all and answers nothing. */
  silent?: boolean;
  delayMs?: number;
  /** What it says instead of the mapped address. */
  lie?: ((mapped: Endpoint) => Endpoint) | undefined;
  /** Where answers come from, instead of where they should. */
  wrongSource?: Endpoint | undefined;
  /** How often it answers; once by default. */
  duplicate?: number;
}

/** The project's own responder on virtual hosts. */
export class VirtualStunServer {
  readonly manners: StunManners;
  /** All that it answers on: the ports of the first address, then those of the second. */
  readonly endpoints: readonly Endpoint[];
  readonly #responder: Responder;
  readonly #sockets: readonly (readonly VirtualSocket[])[];
  readonly #runtime: Runtime;
  readonly #inject: (packet: Omit<Packet, 'ttl'>) => void;

  constructor(
    places: StunPlaces,
    hosts: readonly VirtualHost[],
    manners: StunManners,
    runtime: Runtime,
    inject: (packet: Omit<Packet, 'ttl'>) => void,
  ) {
    const { addresses, ports } = places;
    this.manners = manners;
    this.#runtime = runtime;
    this.#inject = inject;
    this.#responder = new Responder(places);
    this.endpoints = addresses.flatMap((address) => ports.map((port) => ({ address, port })));
    const family = addresses[0]?.includes(':') ? 6 : 4;
    this.#sockets = hosts.map((host) => ports.map((port) => host.open({ family, port })));
    this.#sockets.forEach((row, address) => {
      row.forEach((socket, port) => {
        socket.onDatagram = (bytes, from) => this.#hear(bytes, from, { address, port });
      });
    });
  }

  #hear(bytes: Buffer, from: Endpoint, at: Place): void {
    const { silent, delayMs = 0, lie, wrongSource, duplicate = 1 } = this.manners;
    const answer = silent ? undefined : this.#responder.respond(bytes, from, at, this.#runtime.now());
    if (answer === undefined) return;
    const told = lie ? withLie(answer.bytes, lie) : answer.bytes;
    const send = () => {
      if (wrongSource) this.#inject({ from: wrongSource, to: from, bytes: told });
      else this.#sockets[answer.address]?.[answer.port]?.send(told, from);
    };
    for (let i = 0; i < duplicate; i++) {
      if (delayMs > 0) this.#runtime.setTimer(delayMs, send);
      else send();
    }
  }
}

/** The same answer with another mapped address. */
function withLie(bytes: Buffer, lie: (mapped: Endpoint) => Endpoint): Buffer {
  const message = decodeStun(bytes);
  const mapped = message && mappedAddress(message);
  if (message === undefined || mapped === undefined) return bytes;
  const claim = lie(mapped);
  const attributes = [...message.attributes]
    .filter(([type]) => type !== ATTRIBUTE.fingerprint)
    .map(([type, value]): [number, Buffer] => {
      if (type === ATTRIBUTE.xorMappedAddress) return [type, encodeXorAddress(claim, message.transactionId)];
      return type === ATTRIBUTE.mappedAddress ? [type, encodeAddress(claim)] : [type, value];
    });
  return encodeStun({ class: message.class, transactionId: message.transactionId, attributes });
}
