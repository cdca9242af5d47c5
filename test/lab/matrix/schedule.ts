import type { MatrixCase } from './case.ts';
import type { MatrixClass } from './classes.ts';
import type { RunRecord } from './record.ts';

/** So many runs share a laboratory: building one costs about as much as a run, and another one draws other NATs. */
const RUNS_PER_LABORATORY = 5;

/** Runs of one case in one laboratory. */
export interface Job {
  readonly class: MatrixClass;
  readonly case: MatrixCase;
  readonly seed: number;
  /** Which of the case's runs. */
  readonly indices: readonly number[];
}

type RunKey = Pick<RunRecord, 'class' | 'pair' | 'index'>;

export interface ScheduleOptions {
  readonly seed: number;
  /** Of each case, in place of what its class asks for. */
  readonly runs?: number | undefined;
  /** Cases of each class, taken from all over it. */
  readonly cases?: number | undefined;
  /** What was done before. */
  readonly done: readonly RunKey[];
}

/** What is still to be done. A run's laboratory depends on the seed and on the run alone, not on what else there is to do. */
export function schedule(classes: readonly MatrixClass[], options: ScheduleOptions): Job[] {
  const done = new Set(options.done.map(keyOf));
  return classes.flatMap((each) =>
    spread(each.entries, options.cases).flatMap((entry) => {
      const jobs: Job[] = [];
      const runs = options.runs ?? entry.runs;
      for (let first = 0; first < runs; first += RUNS_PER_LABORATORY) {
        const size = Math.min(RUNS_PER_LABORATORY, runs - first);
        const key = { class: each.name, pair: entry.case.name };
        const indices = Array.from({ length: size }, (_, offset) => first + offset).filter(
          (index) => !done.has(keyOf({ ...key, index })),
        );
        const seed = hash(`${options.seed} ${keyOf({ ...key, index: first })}`);
        if (indices.length > 0) jobs.push({ class: each, case: entry.case, seed, indices });
      }
      return jobs;
    }),
  );
}

function keyOf({ class: name, pair, index }: RunKey): string {
  return `${name}/${pair}/${index}`;
}

/** So many of a list, at even distances. */
function spread<T>(list: readonly T[], count = list.length): T[] {
  if (count >= list.length) return [...list];
  return Array.from({ length: count }, (_, index) => list[Math.floor((index * list.length) / count)] as T);
}

/** FNV-1a, 31 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193);
  return value >>> 1;
}
