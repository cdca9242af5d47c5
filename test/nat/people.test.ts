import { describe, expect, test } from 'vitest';
import {
  directPlay,
  NAT_KINDS,
  type NatKind,
  type NatVerdictLike,
  natKind,
  strategyOf,
} from '../../src/nat/people.ts';

const CONE: NatVerdictLike = {
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  allocation: { pattern: 'preserving', step: null, range: null },
  udp_blocked: false,
  port_mapped: false,
};
const network = (changes: Partial<NatVerdictLike>): NatVerdictLike => ({ ...CONE, ...changes });
const symmetric = (pattern: 'sequential' | 'block' | 'random'): Partial<NatVerdictLike> => ({
  mapping: 'address-and-port-dependent',
  allocation: { pattern, step: pattern === 'sequential' ? 1 : null, range: null },
});

/** A network of each kind. */
const EXAMPLES: Readonly<Record<NatKind, NatVerdictLike>> = {
  open: network({ mapping: 'none', filtering: 'none' }),
  cone: CONE,
  sequential: network(symmetric('sequential')),
  random: network(symmetric('random')),
  blocked: network({ mapping: 'unknown', udp_blocked: true }),
  unknown: network({ mapping: 'unknown' }),
};

describe('the pair table', () => {
  const [d, u, r] = ['direct', 'usually', 'relayed'] as const;
  const expected = {
    //          open cone sequential random blocked unknown
    open: [d, d, d, d, r, r],
    cone: [d, d, d, u, r, r],
    sequential: [d, d, u, r, r, r],
    random: [d, u, r, r, r, r],
    blocked: [r, r, r, r, r, r],
    unknown: [r, r, r, r, r, r],
  } as const satisfies Record<NatKind, readonly string[]>;

  const cells = NAT_KINDS.flatMap((mine) =>
    NAT_KINDS.map((friend, i) => [mine, friend, expected[mine][i]] as const),
  );
  test.each(cells)('%s with %s: %s', (mine, friend, play) => {
    expect(natKind(EXAMPLES[mine])).toBe(mine);
    expect(directPlay(EXAMPLES[mine], friend)).toBe(play);
    expect(directPlay(EXAMPLES[friend], mine)).toBe(play);
    expect(strategyOf(friend, mine)).toBe(strategyOf(mine, friend));
  });
});

describe('the decision matrix that people know from elsewhere', () => {
  const CLASSES: Readonly<Record<string, readonly NatKind[]>> = {
    'Open/Cone': ['open', 'cone'],
    Cone: ['cone'],
    Symmetric: ['sequential', 'random'],
    Unknown: ['unknown', 'blocked'],
    Any: NAT_KINDS,
  };
  const MEANS: Readonly<Record<string, readonly string[]>> = {
    'Direct Exchange': ['direct'],
    'Port Prediction': ['direct', 'usually'],
    'Skip -> Relay': ['relayed'],
  };

  test.each([
    ['Open/Cone', 'Open/Cone', 'Direct Exchange'],
    ['Cone', 'Symmetric', 'Port Prediction'],
    ['Symmetric', 'Cone', 'Port Prediction'],
    ['Symmetric', 'Symmetric', 'Skip -> Relay'],
    ['Unknown', 'Any', 'Skip -> Relay'],
    ['Any', 'Unknown', 'Skip -> Relay'],
  ])('%s with %s: %s', (publisher, subscriber, strategy) => {
    for (const mine of CLASSES[publisher] ?? []) {
      for (const friend of CLASSES[subscriber] ?? []) {
        // The one cell where measuring the allocation is worth more than the matrix knows.
        const better = mine === 'sequential' && friend === 'sequential';
        expect(better ? ['usually'] : MEANS[strategy]).toContain(directPlay(EXAMPLES[mine], friend));
      }
    }
  });
});

test.each<[NatKind, string, Partial<NatVerdictLike>]>([
  ['open', 'no NAT, no filter', { mapping: 'none', filtering: 'none' }],
  ['cone', 'no NAT, a stateful firewall', { mapping: 'none' }],
  ['cone', 'no NAT, perhaps a firewall', { mapping: 'none', filtering: 'unknown' }],
  ['open', 'full cone', { filtering: 'endpoint-independent' }],
  ['open', 'restricted cone: one packet to any port opens it', { filtering: 'address-dependent' }],
  ['cone', 'port-restricted cone', {}],
  ['cone', 'a cone whose filter is not known', { filtering: 'unknown' }],
  ['sequential', 'address-dependent, in order', { ...symmetric('sequential'), mapping: 'address-dependent' }],
  ['random', 'a block', symmetric('block')],
  ['random', 'no allocation known', { ...symmetric('random'), allocation: null }],
  ['open', 'symmetric with a forwarded port', { ...symmetric('random'), port_mapped: true }],
  ['open', 'a forwarded port and nothing else known', { mapping: 'unknown', port_mapped: true }],
  ['blocked', 'a forwarded port without UDP', { udp_blocked: true, port_mapped: true }],
])('%s: %s', (kind, _, changes) => {
  expect(natKind(network(changes))).toBe(kind);
});
