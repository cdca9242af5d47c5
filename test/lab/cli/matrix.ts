import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { between } from '../matrix/case.ts';
import { CLASSES, entriesOf, type MatrixClass } from '../matrix/classes.ts';
import { Journal } from '../matrix/journal.ts';
import { play } from '../matrix/play.ts';
import type { RunRecord } from '../matrix/record.ts';
import type { Output } from '../matrix/run.ts';
import { type Job, schedule } from '../matrix/schedule.ts';
import { summarizeClass } from '../matrix/summary.ts';
import { inPool } from '../system/pool.ts';
import { matrixReport, printMatrix } from './matrix-table.ts';
import { parse, parseNumber, parseSite, UsageError } from './options.ts';
import { printLine } from './table.ts';

export const MATRIX_USAGE = `  --class NAME          only this class; may be repeated
  --pair A,B            only this pair, SITE each: the subscriber's, the publisher's. One of no class will do
  --runs N              so many runs of each pair, instead of what its class stands on
  --quick               one run of a few pairs of each class
  --seed N              decides what the kinds leave open (default: drawn, and printed)
  --parallel N          so many laboratories at a time (default: 1)
  --resume FILE         keeps each run there as soon as it is done, and goes on with what is missing
  --json FILE           writes everything there
  --logs FOLDER         what the programs printed in runs that went wrong
  --program FILE        instead of dist/cli/main.js`;

/** Cases of each class with `--quick`. */
const QUICK_CASES = 3;

/** `lab matrix`: whether the real programs get through every pair of NATs. Fails when something demanded is not met. */
export async function matrix(args: readonly string[]): Promise<number> {
  const { values } = parse(args, {
    class: { type: 'string', multiple: true },
    pair: { type: 'string' },
    runs: { type: 'string' },
    quick: { type: 'boolean', default: false },
    seed: { type: 'string' },
    parallel: { type: 'string', default: '1' },
    resume: { type: 'string' },
    json: { type: 'string' },
    logs: { type: 'string' },
    program: { type: 'string' },
  });
  const seed = values.seed ? parseNumber('--seed', values.seed) : Math.floor(Math.random() * 2 ** 31);
  const classes = chooseClasses(values.class, values.pair);
  const journal = new Journal(seed, values.resume);
  const jobs = schedule(classes, {
    seed: journal.seed,
    done: journal.runs,
    ...(values.quick && { runs: 1, cases: QUICK_CASES }),
    ...(values.runs && { runs: parseNumber('--runs', values.runs) }),
  });
  printLine(`seed ${journal.seed}`);
  const unfinished = await playAll(jobs, journal, parseNumber('--parallel', values.parallel), values);
  const summaries = classes.map((each) => summarizeClass(each, journal.runs)).filter(({ runs }) => runs > 0);
  printMatrix(classes, summaries, journal.runs);
  for (const problem of unfinished) printLine(problem);
  if (values.json) {
    const report = matrixReport(journal, classes, summaries);
    writeFileSync(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
  }
  return unfinished.length === 0 && summaries.every(({ complaints }) => complaints.length === 0) ? 0 : 1;
}

/** @returns what kept a laboratory from being built: its runs are still to be done */
async function playAll(
  jobs: readonly Job[],
  journal: Journal,
  parallel: number,
  { program, logs }: { readonly program?: string | undefined; readonly logs?: string | undefined },
): Promise<string[]> {
  const total = jobs.reduce((sum, { indices }) => sum + indices.length, 0);
  let count = 0;
  const work = (job: Job) =>
    play(job, program, (record, output, amiss) => {
      journal.add(record);
      count += 1;
      process.stderr.write(`${count}/${total} ${amiss ? '!' : ' '} ${describe(record)}\n`);
      if (logs !== undefined && amiss) keep(logs, record, output);
    });
  const results = await Promise.allSettled(inPool(Math.max(1, parallel), jobs, work));
  const problems = results.flatMap((result) => (result.status === 'rejected' ? String(result.reason) : []));
  return [...new Set(problems)];
}

function chooseClasses(names: readonly string[] = [], pair?: string): MatrixClass[] {
  const unknown = names.find((name) => CLASSES.every((each) => each.name !== name));
  if (unknown !== undefined) {
    throw new UsageError(
      `there is no class '${unknown}'; there are ${CLASSES.map(({ name }) => name).join(', ')}`,
    );
  }
  const chosen = CLASSES.filter(({ name }) => names.length === 0 || names.includes(name));
  if (pair === undefined) return chosen;
  const [a, b, ...more] = pair.split(',').map(parseSite);
  if (a === undefined || b === undefined || more.length > 0) throw new UsageError('--pair takes SITE,SITE');
  const own = between(a, b);
  const found = chosen.flatMap((each) => {
    const entries = each.entries.filter((entry) => entry.case.name === own.name);
    return entries.length > 0 ? [{ ...each, entries }] : [];
  });
  if (found.length > 0) return found;
  const entries = entriesOf(0, [own]);
  return [{ name: 'pair', title: own.name, entries, expects: null, threshold: 0, minimum: 0 }];
}

function describe({ class: name, pair, direct, strategy, reason, error, ...run }: RunRecord): string {
  const path = direct ? `${strategy} after ${run.elapsed_ms} ms` : `relayed: ${error ?? reason}`;
  const wrong = [...run.failures, ...run.troubles].map((what) => `; ${what}`).join('');
  return `${name}: ${pair}: ${path}, first byte ${run.first_byte_ms} ms${wrong}`;
}

function keep(folder: string, record: RunRecord, output: Output): void {
  const name = `${record.class} ${record.pair} ${record.index}`.replaceAll(/[^a-z0-9@+-]+/gi, '_');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(record, undefined, 2)}\n`);
  for (const [side, text] of Object.entries(output)) writeFileSync(join(folder, `${name}.${side}.log`), text);
}
