/** Addresses that look public are used inside the namespaces only; no packet with one ever leaves them. */

export const SITE_NAMES = ['a', 'b'] as const;
export type SiteName = (typeof SITE_NAMES)[number];

/** A /24 and a /64: where the same machine has the same last number. */
export interface Subnet {
  readonly v4: string;
  readonly v6: string;
}

export function v4(subnet: Subnet, machine: number): string {
  return `${subnet.v4}.${machine}`;
}

export function v6(subnet: Subnet, machine: number): string {
  return `${subnet.v6}::${machine}`;
}

export const SERVER_SUBNET: Subnet = { v4: '45.80.9', v6: '2a0e:90' };
export const SERVER_ADDRESSES = ['45.80.9.10', '45.80.9.11'] as const;
export const SERVER_ADDRESSES_V6 = ['2a0e:90::10', '2a0e:90::11'] as const;
/** In the core, where whatever UDP arrives vanishes. */
export const SINK = '45.80.9.1';

/** From the core inwards: up to the outermost router, between carrier and home router, the hosts' own. */
export interface SiteSubnets {
  readonly wan: Subnet;
  readonly between: Subnet;
  readonly lan: Subnet;
}

/** Which of a site's subnets are hidden behind a translation, and so private. */
export interface Hidden {
  readonly between: boolean;
  readonly lan: boolean;
}

/** With `sameLan`, both sites have the LAN addresses of the first. */
export function siteSubnets(site: SiteName, hidden: Hidden, sameLan: boolean): SiteSubnets {
  const number = 1 + SITE_NAMES.indexOf(site);
  return {
    wan: { v4: `45.80.${number}`, v6: `2a0e:${site}0` },
    between: { v4: hidden.between ? `100.64.${number}` : `45.80.${20 + number}`, v6: `2a0e:${site}1` },
    lan: { v4: hidden.lan ? `192.168.${sameLan ? 1 : number}` : `45.80.${10 + number}`, v6: `2a0e:${site}2` },
  };
}
