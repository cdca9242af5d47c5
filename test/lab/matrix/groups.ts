import { Random } from '../../support/random.ts';
import type { Expected } from '../kinds/expected.ts';
import { drawNat, NAT_KIND_NAMES, type NatKindName } from '../kinds/nat-kinds.ts';

/** What matters of a kind to whoever wants through it. */
export type Group =
  | 'independent'
  | 'sequential'
  | 'jittered'
  | 'block'
  | 'random'
  /** A mapping for each address: for a peer as good as a random one, for a server not. */
  | 'by-address'
  | 'blocked';

function groupOf({ mapping, allocation }: Expected): Group {
  if (allocation === null) return 'blocked';
  if (mapping === 'none' || mapping === 'endpoint-independent') return 'independent';
  if (mapping === 'address-dependent') return 'by-address';
  if (allocation.pattern === 'sequential') return allocation.jitter > 1 ? 'jittered' : 'sequential';
  return allocation.pattern === 'block' ? 'block' : 'random';
}

// The group is no matter of chance: only what it leaves open is.
const EXPECTED = new Map(NAT_KIND_NAMES.map((kind) => [kind, drawNat(kind, new Random(1)).expected]));

function kindsWhere(test: (expected: Expected, kind: NatKindName) => boolean): NatKindName[] {
  return [...EXPECTED].filter(([kind, expected]) => test(expected, kind)).map(([kind]) => kind);
}

export function kindsOf(...groups: readonly Group[]): NatKindName[] {
  return kindsWhere((expected) => groups.includes(groupOf(expected)));
}

/** Independent ones that let in only whom was sent to, address and port: behind others the peer need not be predicted. */
export const STRICT = kindsWhere(
  (expected) => groupOf(expected) === 'independent' && expected.filtering === 'address-and-port-dependent',
);
export const LENIENT = kindsOf('independent').filter((kind) => !STRICT.includes(kind));
