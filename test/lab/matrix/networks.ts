import type { NatKindName } from '../kinds/nat-kinds.ts';
import type { SiteOptions } from '../topology/options.ts';
import { ALL_PAIRS, between, eitherWay, type MatrixCase, pairs, together } from './case.ts';
import { kindsOf, STRICT } from './groups.ts';

/** Cases that are more than two NATs, and where a direct path is possible at all. */
interface Network {
  readonly name: string;
  readonly title: string;
  readonly cases: readonly MatrixCase[];
}

const NO_LAN = ['--no-lan-addresses'];

/** A sequential NAT with a neighbour on its LAN. */
export const BURNING: readonly MatrixCase[] = kindsOf('sequential').flatMap((kind) =>
  STRICT.flatMap((strict) => [
    between({ kind: strict }, { kind }, { burn: ['b'], remark: 'burning' }),
    between({ kind }, { kind: strict }, { burn: ['a'], remark: 'burning' }),
  ]),
);

const BEHIND_CARRIERS: readonly SiteOptions[] = [
  { kind: 'port-restricted', carrier: 'port-restricted' },
  { kind: 'port-restricted', carrier: 'full-cone' },
  { kind: 'port-restricted', carrier: 'port-restricted-poisonable' },
  { kind: 'port-restricted', carrier: 'independent-random' },
  { kind: 'port-restricted-poisonable', carrier: 'full-cone' },
  { kind: 'full-cone', carrier: 'port-restricted' },
];
const USUAL: readonly SiteOptions[] = [{ kind: 'port-restricted' }, { kind: 'port-restricted-poisonable' }];
const TWO_CARRIERS: readonly SiteOptions[] = BEHIND_CARRIERS.slice(0, 3);

const HIDING: readonly NatKindName[] = [
  'full-cone',
  'address-restricted',
  'port-restricted',
  'port-restricted-poisonable',
];

const OTHERWISE_SYMMETRIC: readonly SiteOptions[] = kindsOf('sequential', 'jittered', 'block', 'random').map(
  (kind) => ({ kind, igd: true }),
);
const MAPPED_FOR: readonly SiteOptions[] = [...USUAL, { kind: 'random' }, { kind: 'sequential' }];

const PUNCHED_WITH_IPV6: readonly NatKindName[] = [
  'port-restricted',
  ...kindsOf('sequential', 'block', 'random'),
];

export const NETWORKS: readonly Network[] = [
  {
    name: 'cgnat',
    title: "a carrier's NAT in front of one side or both",
    cases: [...eitherWay(BEHIND_CARRIERS, USUAL), ...pairs(TWO_CARRIERS, TWO_CARRIERS)].map(([a, b]) =>
      between(a, b),
    ),
  },
  {
    name: 'one-nat',
    title: 'both behind one NAT, by their LAN or by hairpinning',
    cases: [
      ...kindsOf('independent', 'sequential', 'jittered', 'block', 'random', 'by-address', 'blocked').map(
        (kind) => together({ kind }),
      ),
      ...HIDING.map((kind) =>
        together({ kind, hairpin: true }, { flags: NO_LAN, remark: 'no LAN addresses' }),
      ),
    ],
  },
  {
    name: 'same-lan',
    title: 'two LANs with the same addresses',
    cases: pairs(HIDING, HIDING).map(([a, b]) =>
      between({ kind: a }, { kind: b }, { scenario: { sameLan: true }, remark: 'same addresses' }),
    ),
  },
  {
    name: 'port-mapping',
    title: 'routers that forward ports and are otherwise symmetric',
    cases: [
      ...eitherWay(OTHERWISE_SYMMETRIC, MAPPED_FOR),
      ...OTHERWISE_SYMMETRIC.map((site) => [site, site] as const),
    ].map(([a, b]) => between(a, b)),
  },
  {
    name: 'ipv6',
    title: 'IPv6 beside IPv4 NATs',
    cases: (['open', 'firewalled'] as const).flatMap((ipv6) =>
      pairs(PUNCHED_WITH_IPV6, PUNCHED_WITH_IPV6).map(([a, b]) =>
        between({ kind: a }, { kind: b }, { scenario: { ipv6 }, remark: `IPv6 ${ipv6}` }),
      ),
    ),
  },
];

/** Neither their LAN nor the router leads from one to the other. */
export const NO_HAIRPIN: readonly MatrixCase[] = HIDING.map((kind) =>
  together({ kind }, { flags: NO_LAN, remark: 'no LAN addresses' }),
);

/** NATs in front of others that decide about the ports. */
export const HARD_CARRIERS: readonly MatrixCase[] = eitherWay(
  kindsOf('sequential', 'block', 'random').map(
    (carrier): SiteOptions => ({ kind: 'port-restricted', carrier }),
  ),
  USUAL,
).map(([a, b]) => between(a, b));

/** Each as it is, and for comparison with no direct path wanted. */
export const UDP_BLOCKED: readonly MatrixCase[] = ALL_PAIRS.filter((pair) =>
  pair.some((kind) => kindsOf('blocked').includes(kind)),
).flatMap(([a, b]) => [
  between({ kind: a }, { kind: b }),
  between({ kind: a }, { kind: b }, { relayOnly: true, remark: '--mode relay' }),
]);
