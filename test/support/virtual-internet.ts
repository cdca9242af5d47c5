import { familyOf } from '../../src/net/endpoint.ts';
import type { Runtime } from '../../src/net/runtime.ts';
import type { Random } from './random.ts';
import { VirtualHost } from './virtual-host.ts';
import { VirtualNat } from './virtual-nat.ts';
import { forwarded, type Packet } from './virtual-router.ts';
import { type StunManners, type StunPlaces, VirtualStunServer } from './virtual-stun-server.ts';

/** What a test wants done with a packet in the core; nothing special by default. */
export type Fate = 'drop' | { readonly delayMs?: number; readonly copies?: number } | undefined;

export interface InternetOptions {
  /** From one end of the core to the other. Networks inside a NAT take no time. */
  readonly latencyMs?: number;
  /** Up to this much more, which also changes the order of packets. */
  readonly jitterMs?: number;
  readonly lossPercent?: number;
}

/** The inside of a NAT, or the core: the network in which an address means somebody. */
type Network = VirtualNat | 'core';

/**
 * Hosts, the NATs in front of them, and a core between: a pretended internet in virtual time. Every router and the core are a hop.
 * A packet passes its own NATs at once, crosses the core, and passes those of the other side when it arrives.
 */
export class VirtualInternet {
  latencyMs: number;
  jitterMs: number;
  lossPercent: number;
  /** Sees every packet that reaches the core, with the TTL it has left, and says what becomes of it. */
  onPacket: ((packet: Packet) => Fate) | undefined;
  readonly #runtime: Runtime;
  readonly #random: Random;
  readonly #networks = new Map<Network, Map<string, VirtualHost | VirtualNat>>();

  constructor(
    runtime: Runtime,
    random: Random,
    { latencyMs = 10, jitterMs = 0, lossPercent = 0 }: InternetOptions = {},
  ) {
    this.#runtime = runtime;
    this.#random = random;
    this.latencyMs = latencyMs;
    this.jitterMs = jitterMs;
    this.lossPercent = lossPercent;
  }

  /** A host inside a NAT, or directly in the core; an IPv6 address is always in the core. */
  addHost(address: string, nat?: VirtualNat, { ipv6 }: { readonly ipv6?: string } = {}): VirtualHost {
    const addresses = ipv6 === undefined ? [address] : [address, ipv6];
    const host = new VirtualHost(addresses, nat, this.#random, (packet) => this.#depart(host, packet));
    for (const one of addresses) this.#attach(one, host, networkOf(host, one));
    for (let next = nat; next; next = next.behind) this.#attach(next.address, next, next.behind ?? 'core');
    return host;
  }

  /** A STUN server (RFC 8489, RFC 5780) in the core; with `manners` that may change at any time. */
  addStunServer(places: StunPlaces, manners: StunManners = {}): VirtualStunServer {
    const hosts = places.addresses.map((address) => this.addHost(address));
    return new VirtualStunServer(places, hosts, manners, this.#runtime, (packet) => this.inject(packet));
  }

  /** Puts a packet into the core, whoever it claims to be from. */
  inject({ ttl = 64, ...packet }: Omit<Packet, 'ttl'> & { readonly ttl?: number }): void {
    this.#cross({ ...packet, ttl });
  }

  #attach(address: string, node: VirtualHost | VirtualNat, network: Network): void {
    const nodes = this.#networks.get(network) ?? new Map<string, VirtualHost | VirtualNat>();
    this.#networks.set(network, nodes);
    const other = nodes.get(address);
    if (other !== undefined && other !== node) throw new Error(`${address} is there twice`);
    nodes.set(address, node);
  }

  #depart(host: VirtualHost, packet: Packet): void {
    const network = networkOf(host, packet.from.address);
    if (network === 'core') {
      // A packet that dies at the firewall opens nothing in it.
      const passing = host.wall ? forwarded(packet) : packet;
      const sent = passing && host.wall ? host.wall.outbound(passing, this.#runtime.now()) : passing;
      if (sent) this.#cross(sent);
    } else this.#leave(packet, network);
  }

  /** A packet inside a NAT finds its host there, or passes the NAT. */
  #leave(packet: Packet, nat: VirtualNat): void {
    const turnsBack = packet.to.address === nat.address;
    if (nat.contains(packet.to.address)) this.#later(0, packet, nat);
    else if (!turnsBack || nat.hairpin) this.#pass(packet, nat, turnsBack);
  }

  #pass(packet: Packet, nat: VirtualNat, turnsBack: boolean): void {
    const now = this.#runtime.now();
    const passing = forwarded(packet);
    const sent = passing && nat.outbound(passing, now);
    if (sent === undefined) return;
    if (turnsBack) {
      const returned = nat.inbound(sent, now);
      if (returned) this.#later(0, returned, nat);
    } else if (nat.behind) this.#leave(sent, nat.behind);
    else this.#cross(sent);
  }

  #cross(packet: Packet): void {
    const fate = this.onPacket?.(packet);
    const passing = forwarded(packet);
    if (passing === undefined || fate === 'drop') return;
    const { delayMs = 0, copies = 1 } = fate ?? {};
    for (let i = 0; i < copies; i++) {
      const lost = this.#random.next() * 100 < this.lossPercent;
      const jitter = this.#random.next() * this.jitterMs;
      if (!lost) this.#later(this.latencyMs + jitter + delayMs, passing, 'core');
    }
  }

  #later(delay: number, packet: Packet, network: Network): void {
    this.#runtime.setTimer(delay, () => this.#arrive(packet, network));
  }

  #arrive(packet: Packet, network: Network): void {
    const node = this.#networks.get(network)?.get(packet.to.address);
    const now = this.#runtime.now();
    if (node instanceof VirtualNat) {
      const passing = forwarded(node.inbound(packet, now));
      if (passing) this.#arrive(passing, node);
    } else if (node?.wall && network === 'core') {
      const passing = forwarded(node.wall.inbound(packet, now));
      if (passing) node.receive(passing);
    } else node?.receive(packet);
  }
}

function networkOf({ nat }: VirtualHost, address: string): Network {
  return nat && familyOf({ address, port: 0 }) === 4 ? nat : 'core';
}
