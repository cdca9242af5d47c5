import type { Endpoint } from '../net/endpoint.ts';
import { scopeOf } from '../net/ip.ts';
import type { NatBehaviour, NatType, NatVerdict } from './behaviour.ts';
import type { SourceClaim } from './source-proofs.ts';

/** How the router was persuaded to forward a port. */
export type PortMappingProtocol = 'pcp' | 'nat-pmp' | 'upnp';

export interface PortMapping {
  readonly protocol: PortMappingProtocol;
  /** `address:port` that the router says it forwards to us. */
  readonly external_address: string;
}

/**
 * Why a router that was asked said no. `no-external-address`: it has none that could be forwarded, as behind a provider's NAT.
 * `not-authorised`: it knows how, and its owner has switched it off. `no-resources`: every port or mapping is taken.
 */
export type RefusalReason = 'no-external-address' | 'not-authorised' | 'no-resources' | 'other';

export interface Refusal {
  readonly protocol: PortMappingProtocol;
  readonly reason: RefusalReason;
  /** The protocol's own result or error code; 0 where the router agreed to something that is of no use. */
  readonly code: number;
}

/** What came of asking the router to forward a port; undefined where no router was asked. */
export interface RouterAnswer {
  readonly mapping?: PortMapping | undefined;
  readonly refusal?: Refusal | undefined;
}

/**
 * How one STUN server fared. `refused`: its machine answered that nobody listens there. `unreachable`: its name is not known, or
 * the underpass server could not be asked for it. `contradicted`: the others agree on something else.
 */
export interface ServerReport {
  /** As it was named: `host:port`. */
  readonly server: string;
  readonly status: 'answered' | 'silent' | 'refused' | 'unreachable' | 'contradicted';
  readonly rtt_ms: number | null;
}

/** All that is known of the network that this machine is in. `underpass nat --json` prints it as it is. */
export interface NatReport extends NatBehaviour {
  readonly type: NatType;
  /** The address that others see, without a port; null where none is known or it is a private one. */
  readonly public_address: string | null;
  /** The address of the interface that leads there. */
  readonly local_address: string | null;
  /** The global IPv6 address that others see. */
  readonly ipv6: string | null;
  readonly port_mapping: PortMapping | null;
  /** Whether a router was asked for one. */
  readonly port_mapping_asked: boolean;
  /** Why there is none, where the router has said so. */
  readonly port_mapping_refusal: Refusal | null;
  readonly servers: readonly ServerReport[];
  /** Until the mapping was known; null where it is not. */
  readonly mapping_ms: number | null;
  readonly elapsed_ms: number;
}

/** What STUN told, before the router has been asked. */
export interface Findings extends Omit<NatReport, `port_mapping${string}`> {
  /** The measured socket as the most trusted server saw it. */
  readonly reflexive: Endpoint | undefined;
  /** What our own server says of our address, where it vouches for any. */
  readonly claim?: SourceClaim | undefined;
}

/**
 * The whole report. A router that forwards from an address that nobody else sees, or that has none of the internet's to forward
 * from, has another NAT in front of it.
 */
export function reportOf(
  { reflexive: _, claim: __, ...findings }: Findings,
  answer: RouterAnswer | undefined,
): NatReport {
  const { mapping = null, refusal = null } = answer ?? {};
  const { public_address } = findings;
  const external = mapping && externalAddress(mapping);
  const isOutermost = external !== null && external === public_address;
  const isHidden = external !== null && scopeOf(external) !== 'global';
  const differs = external !== null && public_address !== null && !isOutermost;
  const behindAnother = refusal?.reason === 'no-external-address' || isHidden || differs;
  return {
    ...findings,
    cgnat: behindAnother || (findings.cgnat ?? (isOutermost ? false : null)),
    port_mapping: mapping,
    port_mapping_asked: answer !== undefined,
    port_mapping_refusal: mapping === null ? refusal : null,
  };
}

/** Whether others can reach us through this mapping: only if the address that it opens is the one that they see. */
export function isUseful(mapping: PortMapping | null, publicAddress: string | null): boolean {
  return mapping !== null && externalAddress(mapping) === publicAddress;
}

/** What of a report a server is told. */
export function verdictOf(report: NatReport): NatVerdict {
  const { mapping, mapping_confidence, filtering, allocation, poisonable, hairpin, cgnat } = report;
  const { udp_blocked, arming_ttl, type, port_mapping, public_address, ipv6 } = report;
  return {
    ...{ mapping, mapping_confidence, filtering, allocation, poisonable, hairpin, cgnat },
    ...{ udp_blocked, arming_ttl, type },
    port_mapped: isUseful(port_mapping, public_address),
    ipv6: ipv6 !== null,
  };
}

function externalAddress({ external_address }: PortMapping): string {
  return external_address.replace(/:\d+$/, '');
}
