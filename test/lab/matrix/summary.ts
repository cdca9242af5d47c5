import { PEER_ROUND_TRIP_MS, RELAYED_ROUND_TRIP_MS } from './case.ts';
import type { MatrixClass } from './classes.ts';
import type { Outcome, RunRecord } from './record.ts';
import { median, quantile, wilson } from './statistics.ts';

/** The first byte is back within so much of the local connect: four round trips by way of the server. */
export const FIRST_BYTE_MS = 4 * RELAYED_ROUND_TRIP_MS;

/** How much later the first byte may come than without direct mode and still be called no later: what a busy machine does to it. */
const NO_LATER_MS = PEER_ROUND_TRIP_MS / 4;

/** What the runs of one class, or of one pair, came to. Times are milliseconds; null where there are none. */
export interface Summary {
  readonly runs: number;
  /** Runs that came to what they should; direct ones where nothing is claimed. */
  readonly right: number;
  /** Wilson's interval at 95 % for the rate of those. */
  readonly interval: readonly [low: number, high: number];
  readonly direct: number;
  readonly strategies: Readonly<Record<string, number>>;
  /** Why runs stayed relayed, and how often. */
  readonly reasons: Readonly<Record<string, number>>;
  /** From the answer's arrival to the direct path. */
  readonly elapsed: Spread;
  /** From the subscriber's start. */
  readonly from_start: Spread;
  readonly first_byte: Spread;
  /** Runs whose first byte was late or never came. */
  readonly late: number;
  /** Connections that failed. */
  readonly failed: number;
  /** Direct runs in which a connection did not go directly. */
  readonly astray: number;
  /** Runs in which a program complained, or ended by itself, or not in order. */
  readonly errors: number;
}

export interface Spread {
  readonly median: number | null;
  readonly p95: number | null;
}

export interface ClassSummary extends Summary {
  readonly name: string;
  readonly title: string;
  readonly expects: string | null;
  readonly threshold: number;
  readonly minimum: number;
  /** Median from the subscriber's start to the first byte: as it is, and with `--mode relay`. Null where that is not compared. */
  readonly compared: { readonly auto: number; readonly relay: number } | null;
  /** What is not as demanded; empty when everything is. */
  readonly complaints: readonly string[];
}

export function summarizeClass(each: MatrixClass, records: readonly RunRecord[]): ClassSummary {
  const own = records.filter((run) => run.class === each.name);
  const references = new Set(
    each.entries.flatMap((entry) => (entry.case.relayOnly ? [entry.case.name] : [])),
  );
  const runs = own.filter(({ pair }) => !references.has(pair));
  const summary = summarize(each, runs);
  const compared = compare(
    runs,
    own.filter(({ pair }) => references.has(pair)),
  );
  const { name, title, expects, threshold, minimum } = each;
  const complaints = [...complain(each, summary), ...complainOfDelay(compared)];
  return { name, title, expects, threshold, minimum, ...summary, compared, complaints };
}

type Expectation = Pick<MatrixClass, 'expects' | 'withinMs'>;

/** Whether a run came to what its class expects; to a direct path, where that expects nothing. */
export function comesTo({ expects, withinMs }: Expectation, outcome: Outcome): boolean {
  const { direct, reason, elapsed_ms, error } = outcome;
  if (error !== null) return false;
  if (expects !== null && expects !== 'direct') return !direct && reason === expects;
  return direct && (withinMs === undefined || (elapsed_ms ?? 0) <= withinMs);
}

/** Whether anybody should look into a run. */
export function isAmiss(expectation: Expectation, outcome: Outcome): boolean {
  const { error, failures, troubles } = outcome;
  if (error !== null || failures.length > 0 || troubles.length > 0) return true;
  return expectation.expects !== null && !comesTo(expectation, outcome);
}

export function summarize(each: Expectation, runs: readonly RunRecord[]): Summary {
  const direct = runs.filter((run) => run.direct);
  const right = runs.filter((run) => comesTo(each, run)).length;
  const spread = (of: (run: RunRecord) => number | null, among: readonly RunRecord[] = direct): Spread => {
    const values = among.flatMap((run) => of(run) ?? []);
    return { median: median(values), p95: quantile(values, 0.95) };
  };
  return {
    runs: runs.length,
    right,
    interval: wilson(right, runs.length),
    direct: direct.length,
    strategies: count(direct.map(({ strategy }) => strategy ?? 'unnamed')),
    reasons: count(
      runs.filter((run) => !run.direct).map(({ reason, error }) => (error ? 'error' : (reason ?? 'none'))),
    ),
    elapsed: spread(({ elapsed_ms }) => elapsed_ms),
    from_start: spread(({ from_start_ms }) => from_start_ms),
    first_byte: spread(({ first_byte_ms }) => first_byte_ms, runs),
    late: runs.filter(({ first_byte_ms }) => (first_byte_ms ?? Number.POSITIVE_INFINITY) > FIRST_BYTE_MS)
      .length,
    failed: runs.reduce((sum, { failures }) => sum + failures.length, 0),
    astray: direct.filter(
      ({ fastest_echo_ms: fastest }) => (fastest ?? RELAYED_ROUND_TRIP_MS) >= RELAYED_ROUND_TRIP_MS,
    ).length,
    errors: runs.filter(({ error, troubles }) => error !== null || troubles.length > 0).length,
  };
}

function complain({ threshold, minimum, medianMs }: MatrixClass, summary: Summary): string[] {
  const { runs, right, late, failed, astray, errors, elapsed } = summary;
  const complaints: [boolean, string][] = [
    [runs < minimum, `${runs} of ${minimum} runs`],
    [right < threshold * runs, `${percent(right / runs)} is under ${percent(threshold)}`],
    [medianMs !== undefined && (elapsed.median ?? 0) > medianMs, `median above ${medianMs} ms`],
    [late > 0, `first byte late ${late} times`],
    [failed > 0, `${failed} connections failed`],
    [astray > 0, `${astray} connections went astray`],
    [errors > 0, `${errors} errors`],
  ];
  return complaints.filter(([is]) => is).map(([, complaint]) => complaint);
}

function compare(runs: readonly RunRecord[], references: readonly RunRecord[]): ClassSummary['compared'] {
  const firstByte = (among: readonly RunRecord[]) =>
    median(
      among.flatMap(
        ({ ready_ms, first_byte_ms }) => (ready_ms ?? Number.NaN) + (first_byte_ms ?? Number.NaN),
      ),
    );
  const [auto, relay] = [firstByte(runs), firstByte(references)];
  return auto === null || relay === null ? null : { auto, relay };
}

function complainOfDelay(compared: ClassSummary['compared']): string[] {
  if (compared === null || compared.auto <= compared.relay + NO_LATER_MS) return [];
  return [`first byte ${compared.auto} ms after the start, ${compared.relay} ms without direct mode`];
}

function count(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

export function percent(rate: number): string {
  return `${(rate * 100).toFixed(1)} %`;
}
