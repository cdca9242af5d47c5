/**
 * What a mapping depends on (RFC 4787 section 4.1), and likewise a filter (section 5). `none`: nothing translates, or nothing
 * filters. `unknown`: it could not be measured.
 */
export const BEHAVIOURS = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
  'none',
  'unknown',
] as const;
export type Behaviour = (typeof BEHAVIOURS)[number];

/**
 * How external ports are chosen. `preserving`: the port inside. `constant`: another one, the same for every destination.
 * The rest belong to mappings that depend on the destination.
 */
export const ALLOCATION_PATTERNS = ['preserving', 'constant', 'sequential', 'block', 'random'] as const;

export interface Allocation {
  readonly pattern: (typeof ALLOCATION_PATTERNS)[number];
  /** How far one mapping's port is from the one before, signed; null where they are not `sequential`. */
  readonly step: number | null;
  /** The first and the last port that new mappings are estimated to get; null unless `block` or `random`. */
  readonly range: readonly [number, number] | null;
}

/** What a NAT does. Names no address, so that a server may be told. Null: not measured. */
export interface NatBehaviour {
  readonly mapping: Behaviour;
  /** Whether the mapping was seen from several addresses, or from several ports of one address only. */
  readonly mapping_confidence: 'addresses' | 'ports' | null;
  readonly filtering: Behaviour;
  readonly allocation: Allocation | null;
  /** Whether a packet that nobody asked for spoils the mapping towards its sender. */
  readonly poisonable: boolean | null;
  /** Whether two machines behind this NAT can meet at its public address. */
  readonly hairpin: boolean | null;
  /** Whether another NAT, the provider's, stands in front of the router. */
  readonly cgnat: boolean | null;
  /** Whether nothing came back from any STUN server, but for refusals in the name of several. */
  readonly udp_blocked: boolean;
  /** The smallest IP TTL with which a packet opens the outermost own NAT and dies before the far one. */
  readonly arming_ttl: number | null;
}

/** What people call it (RFC 3489 section 5); `cone` where the filter is not known. */
export const NAT_TYPES = [
  'open',
  'full-cone',
  'restricted-cone',
  'port-restricted-cone',
  'cone',
  'symmetric',
  'unknown',
] as const;
export type NatType = (typeof NAT_TYPES)[number];

/** What a server is told of its client's network: no address, only what its NAT does and whether there is a way around it. */
export interface NatVerdict extends NatBehaviour {
  readonly type: NatType;
  /** Whether the router forwards a port to the client. */
  readonly port_mapped: boolean;
  /** Whether the client has a global IPv6 address. */
  readonly ipv6: boolean;
}
