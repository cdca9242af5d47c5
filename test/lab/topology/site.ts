import type { Random } from '../../support/random.ts';
import { type Expected, inSeries } from '../kinds/expected.ts';
import { drawNat, type Nat } from '../kinds/nat-kinds.ts';
import { type Hidden, type SiteName, type SiteSubnets, siteSubnets, v4, v6 } from './addresses.ts';
import type { SiteOptions } from './options.ts';

/** A site as it was drawn: its NATs, its addresses, and what is to be seen of it from outside. */
export interface Site {
  readonly name: SiteName;
  readonly options: SiteOptions;
  readonly home: Nat;
  readonly carrier: Nat | undefined;
  readonly subnets: SiteSubnets;
  /** What home router and carrier do together. */
  readonly expected: Expected;
  /** The IPv4 address of its first host. */
  readonly hostAddress: string;
  readonly hostAddressV6: string;
  /** Whence its first host's packets seem to come. */
  readonly publicAddress: string;
  /** From the host outwards. */
  readonly routers: readonly Router[];
}

export interface Router {
  readonly name: RouterName;
  readonly nat: Nat;
}

export type RouterName = `router-${SiteName}` | `carrier-${SiteName}`;

export function drawSite(name: SiteName, options: SiteOptions, random: Random, sameLan: boolean): Site {
  const home = drawNat(options.kind, random);
  const carrier = options.carrier && drawNat(options.carrier, random);
  const behindCarrier = carrier?.design.source !== undefined;
  const hidden: Hidden = { between: behindCarrier, lan: behindCarrier || home.design.source !== undefined };
  const subnets = siteSubnets(name, hidden, sameLan);
  const hostAddress = v4(subnets.lan, 2);
  return {
    name,
    options,
    home,
    carrier,
    subnets,
    expected: carrier ? inSeries(home.expected, carrier.expected) : home.expected,
    hostAddress,
    hostAddressV6: v6(subnets.lan, 2),
    publicAddress: publicAddress(subnets, home, carrier),
    routers: [
      { name: `router-${name}`, nat: home },
      ...(carrier ? [{ name: `carrier-${name}`, nat: carrier } as const] : []),
    ],
  };
}

/** The outermost translation decides. */
function publicAddress(subnets: SiteSubnets, home: Nat, carrier: Nat | undefined): string {
  if (carrier?.design.source) return v4(subnets.wan, 2);
  if (home.design.source) return v4(carrier ? subnets.between : subnets.wan, 2);
  return v4(subnets.lan, 2);
}
