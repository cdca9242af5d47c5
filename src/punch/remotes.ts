import { type Endpoint, familyOf } from '../net/endpoint.ts';
import { type IpScope, ipFromBytes, ipToBytes, scopeOf } from '../net/ip.ts';

/**
 * An address of the peer. `mapped`: its router forwards it. `peer-reflexive`: a probe of its came from there. `predicted`: its NAT
 * should have given it this port. The others are RFC 8445's.
 */
export interface Remote extends Endpoint {
  readonly kind: 'host' | 'mapped' | 'server-reflexive' | 'peer-reflexive' | 'predicted';
}

/** What a peer tells of itself. */
export interface PeerCandidate extends Remote {
  readonly kind: 'host' | 'mapped' | 'server-reflexive';
}

/** Addresses that a peer may name, and others that it may come from. What is more could be used to attack somebody. */
export const MAX_TOLD = 16;
const MAX_LEARNED = 8;

const LOWEST_PORT = 1024;
const HIGHEST_PORT = 65_535;

/** No peer is there, or all of a network is. */
const FORBIDDEN: ReadonlySet<IpScope> = new Set(['unspecified', 'link-local', 'multicast', 'broadcast']);

/** The peer's addresses, within the limits that protect others from being probed. */
export class Remotes {
  readonly #loopback: boolean;
  readonly #remotes = new Map<string, Remote>();
  #told = 0;
  #learned = 0;
  #vouched: readonly string[] = [];

  /** @param loopback whether the peer may be on this machine, as it is where the server is */
  constructor(loopback: boolean) {
    this.#loopback = loopback;
  }

  get all(): readonly Remote[] {
    return [...this.#remotes.values()];
  }

  /** The peer names an address. Undefined where it is known, or one too many, or nobody may be sent there. */
  tell({ kind, address, port }: PeerCandidate): Remote | undefined {
    const spelt = canonical(address);
    if (spelt === undefined || this.#told >= MAX_TOLD) return undefined;
    const remote = { kind, address: spelt, port };
    if (!this.isAllowed(remote) || this.#remotes.has(keyOf(remote))) return undefined;
    this.#told++;
    return this.#add(remote);
  }

  /** A probe of the peer's came from there. Undefined where it would be one too many. */
  learn(from: Endpoint): Remote | undefined {
    const known = this.#remotes.get(keyOf(from));
    if (known || !this.isAllowed(from) || this.#learned >= MAX_LEARNED) return known;
    this.#learned++;
    return this.#add({ kind: 'peer-reflexive', address: from.address, port: from.port });
  }

  /** Where our own server has seen the peer, in place of what it said before. */
  vouch(addresses: readonly string[]): void {
    this.#vouched = addresses;
  }

  /**
   * Whether it is certain that the peer is there: the peer has named it as an address where the internet sees it, and our server has seen
   * it there. Ports are predicted, and searched for, at no other address.
   */
  isVouched(address: string): boolean {
    if (!this.#vouched.includes(address)) return false;
    const scope = scopeOf(address);
    if (scope !== 'global' && scope !== 'loopback') return false;
    return this.all.some((remote) => remote.address === address && remote.kind !== 'peer-reflexive');
  }

  /** Whether anybody may be sent there at all. */
  isAllowed({ address, port }: Endpoint): boolean {
    if (!Number.isInteger(port) || port < LOWEST_PORT || port > HIGHEST_PORT) return false;
    const scope = scopeOf(address);
    return scope === 'loopback' ? this.#loopback : !FORBIDDEN.has(scope);
  }

  /** Where the internet sees the peer over IPv4: what its NAT shows, or its own address where it has none. */
  get reflexive(): Remote | undefined {
    const seen = this.all.filter((remote) => familyOf(remote) === 4 && scopeOf(remote.address) === 'global');
    return seen.find(({ kind }) => kind === 'server-reflexive') ?? seen.find(({ kind }) => kind === 'host');
  }

  #add(remote: Remote): Remote {
    this.#remotes.set(keyOf(remote), remote);
    return remote;
  }
}

/** The one spelling of an address that sockets use, too; undefined for what is none. */
function canonical(address: string): string | undefined {
  try {
    return ipFromBytes(ipToBytes(address));
  } catch {
    return undefined;
  }
}

function keyOf({ address, port }: Endpoint): string {
  return `${address} ${port}`;
}
