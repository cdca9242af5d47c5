import type { NatDesign, SourceTranslation } from '../kinds/design.ts';
import { hairpinChains, hairpinSets } from './hairpin.ts';
import { type Chain, type DynamicSet, PRIORITY, type Table } from './nftables.ts';

/** What a router's rules depend on. Its interfaces are called `wan` and `lan`. */
export interface RouterFacts {
  readonly design: NatDesign;
  /** Its address on `wan`. */
  readonly address: string;
  /** Whether machines inside can meet at that address. */
  readonly hairpin: boolean;
  /** Seconds after which an unused mapping is forgotten. */
  readonly udpTimeout: UdpTimeout;
}

/** Linux distinguishes flows that were answered for more than two seconds from all others. */
export interface UdpTimeout {
  readonly fresh: number;
  readonly settled: number;
}

const OUTGOING_UDP = 'oifname "wan" meta l4proto udp';
const INCOMING = 'iifname "wan"';
const NOT_ASKED_FOR: Readonly<Record<Exclude<NatDesign['unsolicited'], 'taken'>, string>> = {
  dropped: 'drop',
  rejected: 'reject with icmp port-unreachable',
};

/** The IPv4 rules of a router. */
export function routerTable(router: RouterFacts): Table {
  const { design } = router;
  const chains = [forwarding(design)];
  if (design.source) {
    chains.push(translation(design.source, router.address), inbound(router), ...guard(design));
    if (learns(router)) chains.push(learning(router));
    if (router.hairpin) chains.push(...hairpinChains(router.address));
  }
  return { family: 'ip', name: 'router', sets: design.source ? sets(router) : [], chains };
}

/** A stateful firewall for routed IPv6; ICMPv6 passes, for neighbours and for path MTU discovery. */
export const FIREWALL_V6: Table = {
  family: 'ip6',
  name: 'firewall',
  chains: [
    {
      name: 'forwarding',
      hook: { type: 'filter', at: 'forward', priority: PRIORITY.filter },
      rules: answersOnly('icmpv6', 'drop'),
    },
  ],
};

function translation(source: SourceTranslation, address: string): Chain {
  return {
    name: 'translation',
    hook: { type: 'nat', at: 'postrouting', priority: PRIORITY.source },
    rules: [`${OUTGOING_UDP} ${statement(source, address)}`, 'oifname "wan" masquerade'],
  };
}

function statement(source: SourceTranslation, address: string): string {
  switch (source.by) {
    case 'masquerade':
      return 'masquerade';
    case 'chance':
      return 'masquerade fully-random';
    case 'range':
      return `snat to ${address}:${source.first}-${source.last}${source.each === 'flow' ? ' fully-random' : ''}`;
    case 'counter':
      return `snat to ${address} : numgen inc mod ${choice(source.ports)}`;
    case 'hash': {
      const destination = source.of === 'source-and-destination-address' ? ' . ip daddr' : '';
      const hash = `jhash ip saddr . udp sport${destination}`;
      const { length } = source.ports;
      return `snat to ${address} : ${hash} mod ${length} seed ${source.seed} ${table(source.ports)}`;
    }
  }
}

function choice(ports: readonly number[]): string {
  return `${ports.length} ${table(ports)}`;
}

/** Through a map: a number that is used as a port directly has its bytes in the wrong order. */
function table(ports: readonly number[]): string {
  return `map { ${ports.map((port, index) => `${index} : ${port}`).join(', ')} }`;
}

/** Whether the router keeps mappings in a set of its own, as connection tracking knows only whole flows. */
function learns({ design, hairpin }: RouterFacts): boolean {
  return design.admits !== 'nobody' || hairpin;
}

function sets(router: RouterFacts): DynamicSet[] {
  const timeout = router.udpTimeout.settled;
  const found: DynamicSet[] = [];
  if (learns(router)) {
    found.push({ kind: 'map', name: 'mapped', type: 'inet_service : ipv4_addr . inet_service', timeout });
  }
  if (router.design.admits === 'contacted-addresses') {
    found.push({ kind: 'set', name: 'contacted', type: 'inet_service . ipv4_addr', timeout });
  }
  return router.hairpin ? [...found, ...hairpinSets(timeout)] : found;
}

/** Learns from packets that were translated already: only then is it known which port the kernel took. */
function learning({ design }: RouterFacts): Chain {
  const rules = [
    `${OUTGOING_UDP} ct direction original update @mapped { udp sport : ct original ip saddr . ct original proto-src }`,
  ];
  if (design.admits === 'contacted-addresses') {
    rules.push(`${OUTGOING_UDP} update @contacted { udp sport . ip daddr }`);
  }
  return {
    name: 'learning',
    hook: { type: 'filter', at: 'postrouting', priority: PRIORITY.afterSource },
    rules,
  };
}

function inbound({ design, address, hairpin }: RouterFacts): Chain {
  const toMapped = 'dnat to udp dport map @mapped';
  const rules: string[] = [];
  if (design.admits === 'everybody') rules.push(`${INCOMING} meta l4proto udp ${toMapped}`);
  if (design.admits === 'contacted-addresses') {
    rules.push(`${INCOMING} udp dport . ip saddr @contacted ${toMapped}`);
  }
  if (hairpin) rules.push(`iifname "lan" ip daddr ${address} meta l4proto udp ${toMapped}`);
  return {
    name: 'inbound',
    hook: { type: 'nat', at: 'prerouting', priority: PRIORITY.destination },
    rules,
  };
}

/** Keeps what nobody asked for out of the router's own stack, which would track it as a flow of its own. */
function guard({ unsolicited }: NatDesign): Chain[] {
  if (unsolicited === 'taken') return [];
  const rules = answersOnly('icmp', NOT_ASKED_FOR[unsolicited]);
  return [{ name: 'guard', hook: { type: 'filter', at: 'input', priority: PRIORITY.filter }, rules }];
}

function forwarding({ forwards }: NatDesign): Chain {
  const rules: Record<NatDesign['forwards'], string[]> = {
    everything: [],
    'what-was-asked-for': answersOnly('icmp', 'drop'),
    'no-udp': ['meta l4proto udp drop'],
  };
  return {
    name: 'forwarding',
    hook: { type: 'filter', at: 'forward', priority: PRIORITY.filter },
    rules: rules[forwards],
  };
}

function answersOnly(icmp: 'icmp' | 'icmpv6', otherwise: string): string[] {
  return [
    `${INCOMING} ct state established,related accept`,
    `${INCOMING} meta l4proto ${icmp} accept`,
    `${INCOMING} ${otherwise}`,
  ];
}
