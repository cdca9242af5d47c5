import { PEER_ROUND_TRIP_MS } from '../matrix/case.ts';
import type { MatrixClass } from '../matrix/classes.ts';
import type { Journal } from '../matrix/journal.ts';
import type { RunRecord } from '../matrix/record.ts';
import {
  type ClassSummary,
  FIRST_BYTE_MS,
  percent,
  type Spread,
  type Summary,
  summarize,
} from '../matrix/summary.ts';
import { printLine, printTable } from './table.ts';

interface PairSummary extends Summary {
  readonly class: string;
  readonly pair: string;
  readonly expects: string | null;
}

/** The classes, then the pairs of which nothing is claimed and those that fell short. */
export function printMatrix(
  classes: readonly MatrixClass[],
  summaries: readonly ClassSummary[],
  runs: readonly RunRecord[],
): void {
  printTable(
    [
      ...[
        'class',
        'runs',
        'as it should',
        '95 %',
        'demanded',
        'direct after',
        '95th',
        'from start',
        'first byte',
        '95th',
      ],
      ...['late', 'failed', 'verdict'],
    ],
    summaries.map((each) => [
      each.name,
      `${each.runs}/${each.minimum}`,
      each.expects === null ? `${each.direct} direct` : percent(each.right / each.runs),
      each.expects === null ? '' : each.interval.map(percent).join(' to '),
      each.expects === null ? '' : `${percent(each.threshold)} ${each.expects}`,
      ...[each.elapsed.median, each.elapsed.p95, each.from_start.median].map(milliseconds),
      ...both(each.first_byte),
      String(each.late),
      String(each.failed),
      each.complaints.length === 0 ? 'met' : `NOT MET: ${each.complaints.join('; ')}`,
    ]),
  );
  printLine(
    `\nA round trip between peers is ${PEER_ROUND_TRIP_MS} ms, by way of the server twice that; a first byte after ${FIRST_BYTE_MS} ms is late.`,
  );
  const pairs = summarizePairs(classes, runs).filter(
    ({ expects, right, runs: all }) => expects === null || right < all,
  );
  if (pairs.length === 0) return;
  printLine();
  printTable(
    ['class', 'pair', 'runs', 'direct', 'median', 'strategies', 'relayed, as'],
    pairs.map((each) => [
      each.class,
      each.pair,
      String(each.runs),
      String(each.direct),
      milliseconds(each.elapsed.median),
      counted(each.strategies),
      counted(each.reasons),
    ]),
  );
}

/** Everything, for a machine. */
export function matrixReport(
  { seed, runs }: Journal,
  classes: readonly MatrixClass[],
  summaries: readonly ClassSummary[],
): object {
  return { seed, classes: summaries, pairs: summarizePairs(classes, runs), runs };
}

function summarizePairs(classes: readonly MatrixClass[], runs: readonly RunRecord[]): PairSummary[] {
  return classes.flatMap((each) =>
    each.entries.flatMap((entry) => {
      const pair = entry.case.name;
      const own = runs.filter((run) => run.class === each.name && run.pair === pair);
      // One that was told to stay relayed has nothing to fall short of.
      if (own.length === 0 || entry.case.relayOnly) return [];
      return [{ class: each.name, pair, expects: each.expects, ...summarize(each, own) }];
    }),
  );
}

function both({ median, p95 }: Spread): string[] {
  return [median, p95].map(milliseconds);
}

function milliseconds(value: number | null): string {
  return value === null ? '' : `${Math.round(value)} ms`;
}

function counted(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([word, times]) => `${word} ${times}`)
    .join(', ');
}
