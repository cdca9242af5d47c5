import type { NatVerdict } from './behaviour.ts';

/**
 * NATs as people can compare them, by what direct play needs to know. `open`: a friend can begin (no NAT, a forwarded port, or a
 * filter that one packet to any of the friend's ports opens). `cone`: one public port for everybody. `sequential` and `random`:
 * a public port for each destination, which can be foreseen or not.
 */
export const NAT_KINDS = ['open', 'cone', 'sequential', 'random', 'blocked', 'unknown'] as const;
export type NatKind = (typeof NAT_KINDS)[number];

/** What the kind is told from. */
export type NatVerdictLike = Pick<
  NatVerdict,
  'mapping' | 'filtering' | 'allocation' | 'udp_blocked' | 'port_mapped'
>;

/** How two NATs are got through, and how that goes. `relay` is not tried at all. */
const STRATEGIES = {
  exchange: 'direct',
  prediction: 'direct',
  'prediction-both': 'usually',
  search: 'usually',
  relay: 'relayed',
} as const;
export type Strategy = keyof typeof STRATEGIES;
export type DirectPlay = (typeof STRATEGIES)[Strategy];

/** The upper half of a table that is the same from both sides; what is not in it is relayed. */
const PAIRS: Readonly<Partial<Record<`${NatKind} ${NatKind}`, Strategy>>> = {
  'open open': 'exchange',
  'open cone': 'exchange',
  'open sequential': 'exchange',
  'open random': 'exchange',
  'cone cone': 'exchange',
  'cone sequential': 'prediction',
  'cone random': 'search',
  'sequential sequential': 'prediction-both',
};

/** What is tried between two networks, whichever of them publishes. */
export function strategyOf(one: NatKind, other: NatKind): Strategy {
  return PAIRS[`${one} ${other}`] ?? PAIRS[`${other} ${one}`] ?? 'relay';
}

/** How that goes between this network and a friend's. */
export function directPlay(mine: NatVerdictLike, friend: NatKind): DirectPlay {
  return STRATEGIES[strategyOf(natKind(mine), friend)];
}

export function natKind({
  mapping,
  filtering,
  allocation,
  udp_blocked,
  port_mapped,
}: NatVerdictLike): NatKind {
  if (udp_blocked) return 'blocked';
  if (port_mapped) return 'open';
  switch (mapping) {
    case 'unknown':
      return 'unknown';
    case 'none':
    case 'endpoint-independent':
      // An unknown filter may be the strictest one.
      return filtering === 'address-and-port-dependent' || filtering === 'unknown' ? 'cone' : 'open';
    default:
      return allocation?.pattern === 'sequential' ? 'sequential' : 'random';
  }
}
