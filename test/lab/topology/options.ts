import type { NatKindName } from '../kinds/nat-kinds.ts';
import type { UdpTimeout } from '../rules/router.ts';

/** One site: a host, another one on the same LAN, and their router. */
export interface SiteOptions {
  readonly kind: NatKindName;
  /** Another NAT in front of the router. */
  readonly carrier?: NatKindName;
  /** Whether its routers turn packets to their own public address around. */
  readonly hairpin?: boolean;
  readonly udpTimeout?: UdpTimeout;
  /** Whether the router speaks UPnP-IGD, NAT-PMP and PCP. */
  readonly igd?: boolean;
}

/** What happens to packets on their way through the core, each way. */
export interface Delay {
  readonly ms: number;
  /** Up to so many more, drawn for each packet: some overtake others. */
  readonly jitterMs?: number;
  readonly lossPercent?: number;
  /** Of each uplink into the core. Unlimited when absent. */
  readonly megabitsPerSecond?: number;
  /** How long a packet may have to wait for its turn at that rate before it is dropped instead. 100 when absent. */
  readonly queueMs?: number;
}

export interface LaboratoryOptions {
  /** Decides whatever the kinds leave open, and which packets are lost. Drawn when absent. */
  readonly seed?: number;
  readonly a: SiteOptions;
  readonly b?: SiteOptions;
  /** Whether both LANs have the same addresses. */
  readonly sameLan?: boolean;
  /** Routed, with or without a stateful firewall at the routers. No IPv6 when absent. */
  readonly ipv6?: 'open' | 'firewalled';
  readonly delay?: Delay;
}

/** Linux's own. */
export const DEFAULT_UDP_TIMEOUT: UdpTimeout = { fresh: 30, settled: 120 };

/** As a command line has it: `KIND[@CARRIER][+hairpin][+igd]`. */
export function nameOfSite({ kind, carrier, hairpin = false, igd = false }: SiteOptions): string {
  return [
    carrier ? `${kind}@${carrier}` : kind,
    ...(hairpin ? ['hairpin'] : []),
    ...(igd ? ['igd'] : []),
  ].join('+');
}
