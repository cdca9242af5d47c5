import type { NatKindName } from '../kinds/nat-kinds.ts';
import { ALL_PAIRS, eitherWay, type MatrixCase, PEER_ROUND_TRIP_MS, pairs, plain } from './case.ts';
import { kindsOf, LENIENT, STRICT } from './groups.ts';
import { BURNING, HARD_CARRIERS, NETWORKS, NO_HAIRPIN, UDP_BLOCKED } from './networks.ts';

/** Cases of which the same is demanded. */
export interface MatrixClass {
  readonly name: string;
  readonly title: string;
  readonly entries: readonly Entry[];
  /** What every run should come to: a direct path, or the relay for this reason. Null where nothing is claimed. */
  readonly expects: string | null;
  /** At least this part of the runs must come to it. */
  readonly threshold: number;
  /** It stands on at least so many runs. */
  readonly minimum: number;
  /** A direct path that took longer does not count. */
  readonly withinMs?: number;
  /** Half of the direct paths take at most as long. */
  readonly medianMs?: number;
}

export interface Entry {
  readonly case: MatrixCase;
  readonly runs: number;
}

/** How often a pair is tried of which nothing particular is claimed. */
const FEW = 3;

/** As many runs of each case as give the minimum together; `easy` ones get few, so that they do not make the rate look better. */
export function entriesOf(
  minimum: number,
  cases: readonly MatrixCase[],
  easy: readonly MatrixCase[] = [],
): Entry[] {
  const counting = cases.filter(({ relayOnly }) => !relayOnly).length;
  const runs = Math.max(FEW, Math.ceil(minimum / Math.max(1, counting)));
  return [...cases.map((each) => ({ case: each, runs })), ...easy.map((each) => ({ case: each, runs: FEW }))];
}

function direct(
  name: string,
  title: string,
  threshold: number,
  minimum: number,
  cases: readonly MatrixCase[],
  extras: { easy?: readonly MatrixCase[]; withinMs?: number; medianMs?: number } = {},
): MatrixClass {
  const { easy = [], ...limits } = extras;
  return {
    name,
    title,
    expects: 'direct',
    threshold,
    minimum,
    entries: entriesOf(minimum, cases, easy),
    ...limits,
  };
}

function against(kinds: readonly NatKindName[], others: readonly NatKindName[]): MatrixCase[] {
  return eitherWay(kinds, others).map(plain);
}

const INDEPENDENT = kindsOf('independent');
const [SEQUENTIAL, JITTERED, BLOCK, RANDOM] = [
  kindsOf('sequential'),
  kindsOf('jittered'),
  kindsOf('block'),
  kindsOf('random'),
];
const STEADY = [...SEQUENTIAL, ...BLOCK];

const NAMED: readonly MatrixClass[] = [
  direct('independent', 'two endpoint-independent NATs', 1, 100, pairs(INDEPENDENT, INDEPENDENT).map(plain), {
    medianMs: 5 * PEER_ROUND_TRIP_MS + 300,
  }),
  direct('sequential', 'endpoint-independent × sequential or block', 0.99, 300, against(STRICT, STEADY), {
    easy: against(LENIENT, STEADY),
  }),
  direct('jittered', 'endpoint-independent × jittered sequential', 0.98, 100, against(STRICT, JITTERED), {
    easy: against(LENIENT, JITTERED),
  }),
  direct('burning', 'endpoint-independent × sequential, a neighbour opens 200 flows/s', 0.98, 100, BURNING),
  direct('random', 'endpoint-independent × random', 0.97, 100, against(STRICT, RANDOM), {
    easy: against(LENIENT, RANDOM),
    withinMs: 12_000,
  }),
  direct('two-sequential', 'two sequential NATs', 0.95, 100, pairs(SEQUENTIAL, SEQUENTIAL).map(plain)),
  direct('two-jittered', 'two sequential NATs, at least one jittered', 0.5, 100, [
    ...pairs(JITTERED, JITTERED).map(plain),
    ...against(SEQUENTIAL, JITTERED),
  ]),
  direct('two-blocks', 'two blocks', 0.9, 100, pairs(BLOCK, BLOCK).map(plain)),
  {
    ...direct('two-random', 'two random NATs: not tried', 1, 100, pairs(RANDOM, RANDOM).map(plain)),
    expects: 'unpredictable',
  },
  ...NETWORKS.map(({ name, title, cases }) => direct(name, title, 1, 100, cases)),
  {
    ...direct('no-hairpin', 'both behind one NAT, where nothing leads back', 1, 12, NO_HAIRPIN),
    expects: 'no-hairpin',
  },
  { ...direct('udp-blocked', 'UDP is blocked', 1, 100, UDP_BLOCKED), expects: 'udp-blocked' },
];

const named = new Set(NAMED.flatMap(({ entries }) => entries.map((entry) => entry.case.name)));

export const CLASSES: readonly MatrixClass[] = [
  ...NAMED,
  {
    ...direct('other', 'every other pair', 0, 0, [
      ...ALL_PAIRS.map(plain).filter(({ name }) => !named.has(name)),
      ...HARD_CARRIERS,
    ]),
    expects: null,
  },
];
