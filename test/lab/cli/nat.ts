import { writeFileSync } from 'node:fs';
import { DISCOVERY_CASES, type DiscoveryCase, tryCase } from '../discovery/case.ts';
import { type Judgement, judge, passes } from '../discovery/judge.ts';
import { parse, parseKind, parseNumber } from './options.ts';
import { printLine, printTable } from './table.ts';

interface Row {
  readonly name: string;
  readonly right: boolean;
  readonly judgements: readonly Judgement[];
  /** What went wrong where there is nothing to judge. */
  readonly failure?: string;
}

/** `lab nat`: what the real program's discovery says in each network, and whether it is right. Fails when it is not. */
export async function nat(args: readonly string[]): Promise<number> {
  const { values } = parse(args, {
    kind: { type: 'string' },
    seed: { type: 'string' },
    json: { type: 'string' },
    program: { type: 'string' },
  });
  const seed = values.seed ? parseNumber('--seed', values.seed) : Math.floor(Math.random() * 2 ** 31);
  const kind = values.kind && parseKind(values.kind);
  const cases = DISCOVERY_CASES.filter(({ scenario }) => !kind || scenario.a.kind === kind);
  printLine(`seed ${seed}`);
  const rows: Row[] = [];
  for (const each of cases) {
    // One after another: discovery is a matter of milliseconds. Each draws what its kind leaves open.
    const row = await tryRow(each, seed + DISCOVERY_CASES.indexOf(each), values.program);
    process.stderr.write(row.right ? '.' : 'F');
    rows.push(row);
  }
  process.stderr.write('\n');
  printRows(rows);
  if (values.json) writeFileSync(values.json, `${JSON.stringify({ seed, rows }, undefined, 2)}\n`);
  return rows.every(({ right }) => right) ? 0 : 1;
}

async function tryRow(each: DiscoveryCase, seed: number, program: string | undefined): Promise<Row> {
  try {
    const { site, report } = await tryCase(each, seed, program);
    const judgements = judge(each, site, report);
    return { name: each.name, right: passes(judgements), judgements };
  } catch (error) {
    return { name: each.name, right: false, judgements: [], failure: (error as Error).message };
  }
}

function printRows(rows: readonly Row[]): void {
  const columns = rows.find(({ judgements }) => judgements.length > 0)?.judgements ?? [];
  printTable(
    ['network', 'right', ...columns.map(({ what }) => what)],
    rows.map(({ name, right, judgements }) => [name, right ? 'yes' : 'NO', ...judgements.map(cell)]),
  );
  for (const { name, failure } of rows) {
    if (failure !== undefined) printLine(`${name}: ${failure}`);
  }
  const wrong = rows.filter(({ right }) => !right).length;
  printLine(`${rows.length - wrong} of ${rows.length} right`);
  printLine('EI endpoint-independent, AD address-dependent, APD address-and-port-dependent;');
  printLine('in brackets: what was expected instead, with ! where it is required');
}

function cell({ seen, expected, right, required }: Judgement): string {
  const shown = abbreviate(seen);
  return right ? shown : `${shown} [${required ? '! ' : ''}${abbreviate(expected)}]`;
}

const ABBREVIATIONS: Readonly<Record<string, string>> = {
  'endpoint-independent': 'EI',
  'address-dependent': 'AD',
  'address-and-port-dependent': 'APD',
};

function abbreviate(behaviour: string): string {
  return ABBREVIATIONS[behaviour] ?? behaviour;
}
