import { type Chain, type DynamicSet, PRIORITY } from './nftables.ts';

/**
 * RFC 4787 section 6, with the external source address and port (REQ-9a): what a machine inside sends to the router's public
 * address comes back in as if its sender were outside.
 */
export function hairpinChains(address: string): Chain[] {
  const turned = 'iifname "lan" oifname "lan" ct status dnat';
  return [
    {
      name: 'hairpin_learning',
      hook: { type: 'filter', at: 'postrouting', priority: PRIORITY.afterSource + 1 },
      rules: [
        'oifname "wan" meta l4proto udp ct direction original update @external { ct original ip saddr . ct original proto-src : udp sport }',
      ],
    },
    {
      name: 'hairpin',
      hook: { type: 'nat', at: 'postrouting', priority: PRIORITY.source - 1 },
      rules: [
        `${turned} meta l4proto udp snat to ${address} : ip saddr . udp sport map @external`,
        `${turned} masquerade`,
      ],
    },
  ];
}

/** Which external port each inner one has. */
export function hairpinSets(timeout: number): DynamicSet[] {
  return [{ kind: 'map', name: 'external', type: 'ipv4_addr . inet_service : inet_service', timeout }];
}
