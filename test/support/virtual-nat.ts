import { BlockList } from 'node:net';
import type { Instant } from '../../src/machine.ts';
import type { Behaviour } from '../../src/nat/behaviour.ts';
import type { Endpoint } from '../../src/net/endpoint.ts';
import type { Random } from './random.ts';
import { type PortAllocation, PortAllocator } from './virtual-ports.ts';
import { IDLE_TIME, type Packet, type Router, text } from './virtual-router.ts';
import { IdleTable } from './virtual-table.ts';

/** What a mapping or a filter depends on (RFC 4787 sections 4.1 and 5). */
export type Dependence = Exclude<Behaviour, 'none' | 'unknown'>;

export interface NatOptions {
  readonly mapping: Dependence;
  readonly filtering: Dependence;
  readonly allocation: PortAllocation;
  /** An unsolicited packet from outside takes the external port towards its sender, as with Linux's conntrack. */
  readonly poisonable?: boolean;
  /** RFC 4787 section 6, with the external source address. */
  readonly hairpin?: boolean;
  /** The external address. */
  readonly address: string;
  /** The router's own address inside, and how many bits of it the inside network shares. */
  readonly inside?: string;
  /** The carrier's NAT in front of this one; `address` is one of its inside network. */
  readonly behind?: VirtualNat;
  /** How long a mapping lives unused, in milliseconds. */
  readonly idleMs?: number;
}

/** A conversation that the NAT translates, as Linux's conntrack keeps it. */
interface Flow {
  readonly key: string;
  /** Undefined for one that ends at the router itself: a poisoned one. */
  readonly inside: Endpoint | undefined;
  readonly remote: Endpoint;
  readonly port: number;
  /** How else it is found: by its external port, by that and its remote endpoint, and by its mapping. */
  readonly indexes: readonly string[];
}

/** Enough draws to find the last free port of a block, or all of a counter's. */
const MAX_DRAWS = 65_536;

/** A NAT in RFC 4787's words. It translates packets and is told the time; moving them is the internet's business. */
export class VirtualNat implements Router {
  readonly address: string;
  readonly behind: VirtualNat | undefined;
  readonly hairpin: boolean;
  /** Drops all that would pass. */
  blockUdp = false;
  readonly #options: NatOptions;
  readonly #ports: PortAllocator;
  readonly #network = new BlockList();
  readonly #flows: IdleTable<Flow>;
  readonly #index = new Map<string, Set<Flow>>();
  /** Whether mappings share an external port as long as they have different destinations. */
  readonly #overlaps: boolean;

  constructor(options: NatOptions, random: Random) {
    const { allocation, mapping, inside = '192.168.1.1/24', idleMs = IDLE_TIME } = options;
    const [gateway = '', bits] = inside.split('/');
    this.address = options.address;
    this.behind = options.behind;
    this.hairpin = options.hairpin ?? false;
    this.#options = options;
    this.#network.addSubnet(gateway, Number(bits));
    this.#ports = new PortAllocator(allocation, random);
    this.#flows = new IdleTable(idleMs, (flow) => this.#unindex(flow));
    this.#overlaps = allocation.pattern === (mapping === 'endpoint-independent' ? 'preserving' : 'block');
  }

  /** Whether an address belongs to the network inside. */
  contains(address: string): boolean {
    return this.#network.check(address);
  }

  /** A packet from inside, as it leaves; it makes what mapping it needs, and opens the filter. */
  outbound(packet: Packet, now: Instant): Packet | undefined {
    if (this.blockUdp) return undefined;
    this.#flows.expire(now);
    const { from: inside, to: remote } = packet;
    const flow = this.#flows.get(`${text(inside)} ${text(remote)}`) ?? this.#map(inside, remote);
    if (flow === undefined) return undefined;
    this.#flows.use(flow.key, flow, now);
    return { ...packet, from: { address: this.address, port: flow.port } };
  }

  /** A packet to the external address, as it gets in. */
  inbound(packet: Packet, now: Instant): Packet | undefined {
    if (this.blockUdp) return undefined;
    this.#flows.expire(now);
    const flow = this.#admit(packet) ?? this.#poison(packet);
    if (flow) this.#flows.use(flow.key, flow, now);
    return flow?.inside && { ...packet, to: flow.inside };
  }

  /** Forgets all mappings, as when it is restarted. */
  flush(): void {
    this.#flows.clear();
  }

  /** Another host makes mappings meanwhile. */
  burn(mappings = 1): void {
    for (let i = 0; i < mappings; i++) this.#ports.next();
  }

  /** A new conversation: over the mapping it shares with others, or a new one. */
  #map(inside: Endpoint, remote: Endpoint): Flow | undefined {
    if (this.#flows.full) return undefined;
    const key = `${text(inside)} ${text(remote)}`;
    const mapping = `mapping ${text(inside)} ${dependentOn(remote, this.#options.mapping)}`;
    const known = this.#first(mapping);
    const wanted = known?.port ?? this.#ports.preferred(inside.port);
    const overlaps = known !== undefined || this.#overlaps;
    if (wanted !== undefined && this.#isFree(wanted, remote, overlaps)) {
      return this.#add({ key, inside, remote, port: wanted }, [mapping]);
    }
    const port = this.#draw(remote);
    if (port === undefined) return undefined;
    // Taken towards this destination only: the next one gets the usual port again, and the NAT looks worse than it is.
    const exceptional = wanted !== undefined && overlaps;
    return this.#add({ key, inside, remote, port }, exceptional ? [] : [mapping]);
  }

  #draw(remote: Endpoint): number | undefined {
    for (let i = 0; i < MAX_DRAWS; i++) {
      const port = this.#ports.next();
      if (this.#isFree(port, remote, this.#overlaps)) return port;
    }
    return undefined;
  }

  #isFree(port: number, remote: Endpoint, overlaps: boolean): boolean {
    return !this.#index.has(overlaps ? portKey(port, remote) : portKey(port));
  }

  /**
   * The conversation that a packet from outside belongs to, or the latest whose mapping lets it in. Filters belong to mappings: a
   * packet sent to someone over one of them opens none of the others.
   */
  #admit({ from, to }: Packet): Flow | undefined {
    const exact = this.#first(portKey(to.port, from));
    if (exact) return exact;
    const { filtering } = this.#options;
    return [...(this.#index.get(portKey(to.port)) ?? [])].findLast(
      ({ inside, remote }) => inside && dependentOn(remote, filtering) === dependentOn(from, filtering),
    );
  }

  #poison({ from: remote, to: { address, port } }: Packet): Flow | undefined {
    // What comes back from inside is no stranger's.
    if (!this.#options.poisonable || remote.address === address || this.#flows.full) return undefined;
    const key = `router ${port} ${text(remote)}`;
    return this.#add({ key, inside: undefined, remote, port });
  }

  #first(index: string): Flow | undefined {
    return this.#index.get(index)?.values().next().value;
  }

  #add(fields: Omit<Flow, 'indexes'>, more: readonly string[] = []): Flow {
    const { port, remote } = fields;
    const flow = { ...fields, indexes: [portKey(port), portKey(port, remote), ...more] };
    for (const index of flow.indexes) this.#index.set(index, (this.#index.get(index) ?? new Set()).add(flow));
    return flow;
  }

  #unindex(flow: Flow): void {
    for (const index of flow.indexes) {
      const flows = this.#index.get(index);
      flows?.delete(flow);
      if (flows?.size === 0) this.#index.delete(index);
    }
  }
}

function portKey(port: number, remote?: Endpoint): string {
  return remote ? `port ${port} ${text(remote)}` : `port ${port}`;
}

/** What of a remote endpoint matters. */
function dependentOn(remote: Endpoint, dependence: Dependence): string {
  switch (dependence) {
    case 'endpoint-independent':
      return '';
    case 'address-dependent':
      return remote.address;
    case 'address-and-port-dependent':
      return text(remote);
  }
}
