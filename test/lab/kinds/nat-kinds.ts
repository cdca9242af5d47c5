import type { Random } from '../../support/random.ts';
import type { NatDesign, SourceTranslation } from './design.ts';
import type { Expected, ExpectedAllocation } from './expected.ts';
import { drawBlock, drawHashedPorts, drawWalk, drawWideRange } from './ports.ts';

/** One NAT: how its router is built, and what it must therefore be seen to do. */
export interface Nat {
  readonly design: NatDesign;
  readonly expected: Expected;
}

interface NatKind {
  /** For people. */
  readonly title: string;
  /** Whatever a kind leaves open is drawn, so that nothing can be tuned to one value of it. */
  draw(random: Random): Nat;
}

const ROUTED: NatDesign = { admits: 'nobody', unsolicited: 'dropped', forwards: 'everything' };
const PRESERVING: NatDesign = { ...ROUTED, source: { by: 'masquerade' } };

/** In the order in which tables show them: from the most open to the most closed. */
export const NAT_KINDS = {
  open: {
    title: 'a public address, no filter',
    draw: () => ({
      design: ROUTED,
      expected: {
        mapping: 'none',
        filtering: 'none',
        allocation: { pattern: 'preserving' },
        poisonable: false,
      },
    }),
  },
  firewalled: {
    title: 'a public address behind a stateful firewall',
    draw: () => ({
      design: { ...ROUTED, forwards: 'what-was-asked-for' },
      expected: { ...portRestricted({ pattern: 'preserving' }), mapping: 'none' },
    }),
  },
  'full-cone': {
    title: 'keeps ports, lets everybody in',
    draw: () => ({
      design: { ...PRESERVING, admits: 'everybody' },
      expected: { ...portRestricted({ pattern: 'preserving' }), filtering: 'endpoint-independent' },
    }),
  },
  'address-restricted': {
    title: 'keeps ports, lets in the addresses that were sent to',
    draw: () => ({
      design: { ...PRESERVING, admits: 'contacted-addresses' },
      expected: { ...portRestricted({ pattern: 'preserving' }), filtering: 'address-dependent' },
    }),
  },
  'port-restricted': {
    title: 'keeps ports, drops what was not asked for',
    draw: () => ({ design: PRESERVING, expected: portRestricted({ pattern: 'preserving' }) }),
  },
  'port-restricted-reject': {
    title: 'the same, but rejects it by ICMP',
    draw: () => ({
      design: { ...PRESERVING, unsolicited: 'rejected' },
      expected: portRestricted({ pattern: 'preserving' }),
    }),
  },
  'port-restricted-poisonable': {
    title: 'the same, but its own stack takes it, which spoils the mapping towards the sender',
    draw: () => ({
      design: { ...PRESERVING, unsolicited: 'taken' },
      expected: { ...portRestricted({ pattern: 'preserving' }), poisonable: true },
    }),
  },
  'independent-random': {
    title: 'one random port for each inner port',
    draw: (random) => {
      const [first, last] = drawWideRange(random);
      return independent({ by: 'range', first, last, each: 'port' });
    },
  },
  'independent-hashed': {
    title: 'one port for each inner port, by a hash',
    draw: (random) => {
      const ports = drawHashedPorts(random);
      return independent({ by: 'hash', ports, seed: random.integer(2 ** 31), of: 'source' });
    },
  },
  'address-dependent': {
    title: 'one port for each destination address, by a hash',
    draw: (random) => {
      const of = 'source-and-destination-address';
      const ports = drawHashedPorts(random);
      const source: SourceTranslation = { by: 'hash', ports, seed: random.integer(2 ** 31), of };
      const { design, expected } = symmetric(source, { pattern: 'random' });
      return { design, expected: { ...expected, mapping: 'address-dependent' } };
    },
  },
  sequential: {
    title: 'symmetric, a counter: step, direction, place and length drawn',
    draw: (random) => counting(random, false),
  },
  'sequential-jittered': {
    title: 'symmetric, a counter that skips some',
    draw: (random) => counting(random, true),
  },
  block: {
    title: 'symmetric, random ports out of a small block: size and place drawn',
    draw: (random) => {
      const [first, last] = drawBlock(random);
      return symmetric(
        { by: 'range', first, last, each: 'flow' },
        { pattern: 'block', range: [first, last] },
      );
    },
  },
  random: {
    title: 'symmetric, any port from 1024',
    draw: () => symmetric({ by: 'chance' }, { pattern: 'random' }),
  },
  'udp-blocked': {
    title: 'TCP only',
    draw: () => ({
      design: { ...PRESERVING, forwards: 'no-udp' },
      expected: { mapping: 'unknown', filtering: 'unknown', allocation: null, poisonable: null },
    }),
  },
} as const satisfies Readonly<Record<string, NatKind>>;

export type NatKindName = keyof typeof NAT_KINDS;

export const NAT_KIND_NAMES = Object.keys(NAT_KINDS) as readonly NatKindName[];

export function isNatKind(name: string): name is NatKindName {
  return Object.hasOwn(NAT_KINDS, name);
}

export function drawNat(kind: NatKindName, random: Random): Nat {
  const { draw }: NatKind = NAT_KINDS[kind];
  return draw(random);
}

function portRestricted(allocation: ExpectedAllocation): Expected {
  return {
    mapping: 'endpoint-independent',
    filtering: 'address-and-port-dependent',
    allocation,
    poisonable: false,
  };
}

function independent(source: SourceTranslation): Nat {
  return { design: { ...ROUTED, source }, expected: portRestricted({ pattern: 'constant' }) };
}

function symmetric(source: SourceTranslation, allocation: ExpectedAllocation): Nat {
  const mapping = 'address-and-port-dependent';
  return {
    design: { ...ROUTED, source },
    expected: { ...portRestricted(allocation), mapping, poisonable: null },
  };
}

function counting(random: Random, jittered: boolean): Nat {
  const { ports, step, jitter } = drawWalk(random, jittered);
  return symmetric({ by: 'counter', ports }, { pattern: 'sequential', step, jitter });
}
