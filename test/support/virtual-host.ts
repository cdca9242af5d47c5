import { type Endpoint, familyOf } from '../../src/net/endpoint.ts';
import { type PacketKind, packetKind } from '../../src/net/packet-kind.ts';
import type { DatagramSocket, PacketHandler, SendOptions } from '../../src/net/udp-socket.ts';
import type { Random } from './random.ts';
import type { VirtualNat } from './virtual-nat.ts';
import { type Packet, StatefulFirewall } from './virtual-router.ts';

const USUAL_TTL = 64;

/** Linux's ephemeral ports. */
const EPHEMERAL = { first: 32_768, count: 28_232 };

/** A UDP socket of a virtual host. */
export class VirtualSocket implements DatagramSocket {
  readonly local: Endpoint;
  /** Gets every datagram, of whatever kind. */
  onDatagram: PacketHandler | undefined;
  readonly #handlers = new Map<PacketKind, PacketHandler>();
  readonly #host: VirtualHost;

  constructor(host: VirtualHost, local: Endpoint) {
    this.#host = host;
    this.local = local;
  }

  onPacket(kind: PacketKind, handler: PacketHandler | undefined): void {
    if (handler === undefined) this.#handlers.delete(kind);
    else this.#handlers.set(kind, handler);
  }

  send(bytes: Buffer, to: Endpoint, { ttl = USUAL_TTL }: SendOptions = {}): boolean {
    if (this.#host.owns(this) && familyOf(to) === familyOf(this.local)) {
      this.#host.transmit({ from: this.local, to, bytes: Buffer.from(bytes), ttl });
    }
    return true;
  }

  close(): void {
    this.#host.forget(this);
  }

  receive({ bytes, from }: Packet): void {
    this.onDatagram?.(bytes, from);
    this.#handlers.get(packetKind(bytes))?.(bytes, from);
  }
}

/** A machine with one address of a family at most. */
export class VirtualHost {
  readonly addresses: readonly string[];
  /** What stands in front of its IPv4 address; its IPv6 address is its own. */
  readonly nat: VirtualNat | undefined;
  /** Takes what a socket sends. */
  readonly transmit: (packet: Packet) => void;
  readonly #random: Random;
  readonly #sockets = new Map<string, VirtualSocket>();
  #wall: StatefulFirewall | undefined;

  constructor(
    addresses: readonly string[],
    nat: VirtualNat | undefined,
    random: Random,
    transmit: (packet: Packet) => void,
  ) {
    this.addresses = addresses;
    this.nat = nat;
    this.#random = random;
    this.transmit = transmit;
  }

  /** A router in front of its global addresses, which filters and does not translate. */
  set firewall(kind: 'stateful' | 'none') {
    this.#wall = kind === 'stateful' ? new StatefulFirewall() : undefined;
  }

  get wall(): StatefulFirewall | undefined {
    return this.#wall;
  }

  /** Throws where a real host would fail: no address of the family, the port in use. */
  open({ family, port = this.#freePort(family) }: { family: 4 | 6; port?: number }): VirtualSocket {
    const local = { address: this.#address(family), port };
    if (this.#sockets.has(keyOf(local))) throw new Error(`port ${port} is in use`);
    const socket = new VirtualSocket(this, local);
    this.#sockets.set(keyOf(local), socket);
    return socket;
  }

  receive(packet: Packet): void {
    this.#sockets.get(keyOf(packet.to))?.receive(packet);
  }

  owns(socket: VirtualSocket): boolean {
    return this.#sockets.get(keyOf(socket.local)) === socket;
  }

  forget(socket: VirtualSocket): void {
    if (this.owns(socket)) this.#sockets.delete(keyOf(socket.local));
  }

  #address(family: 4 | 6): string {
    const address = this.addresses.find((address) => familyOf({ address, port: 0 }) === family);
    if (address === undefined) throw new Error(`the host has no IPv${family}`);
    return address;
  }

  #freePort(family: 4 | 6): number {
    const address = this.#address(family);
    const start = this.#random.integer(EPHEMERAL.count);
    for (let i = 0; i < EPHEMERAL.count; i++) {
      const port = EPHEMERAL.first + ((start + i) % EPHEMERAL.count);
      if (!this.#sockets.has(keyOf({ address, port }))) return port;
    }
    throw new Error('all ports are in use');
  }
}

function keyOf({ address, port }: Endpoint): string {
  return `${address} ${port}`;
}
