/**
 * How a direct path was found, as `path` events name it. The order is that of the wire. `host`: in one network. `hairpin`: at the
 * address of the NAT that both are behind. `ipv6`: past firewalls only. `mapped`: a port that a router forwards. `open`: one side
 * lets the other begin. `direct`: both begin. `bracket`: a port between two that were measured. `extrapolate`: one beyond the
 * last that was measured. `sweep`: two NATs that count. `birthday`: many ports against many.
 */
export const STRATEGIES = [
  'host',
  'hairpin',
  'ipv6',
  'mapped',
  'open',
  'direct',
  'bracket',
  'extrapolate',
  'sweep',
  'birthday',
] as const;
export type Strategy = (typeof STRATEGIES)[number];
