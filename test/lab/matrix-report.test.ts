import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/temporary.ts';
import { NAT_KIND_NAMES } from './kinds/nat-kinds.ts';
import { between } from './matrix/case.ts';
import { CLASSES, entriesOf, type MatrixClass } from './matrix/classes.ts';
import { Journal } from './matrix/journal.ts';
import type { RunRecord } from './matrix/record.ts';
import { schedule } from './matrix/schedule.ts';
import { median, quantile, wilson } from './matrix/statistics.ts';
import { summarizeClass } from './matrix/summary.ts';

const PAIR = between({ kind: 'port-restricted' }, { kind: 'random' });
const REFERENCE = between(
  { kind: 'port-restricted' },
  { kind: 'random' },
  { relayOnly: true, remark: 'relay' },
);

const CLASS: MatrixClass = {
  name: 'some',
  title: '',
  entries: entriesOf(7, [PAIR]),
  expects: 'direct',
  threshold: 0.5,
  minimum: 7,
};

const DIRECT: RunRecord = {
  class: 'some',
  pair: PAIR.name,
  index: 0,
  seed: 1,
  sites: [],
  at: '2026-01-01T00:00:00.000Z',
  took_ms: 2000,
  direct: true,
  strategy: 'birthday',
  reason: null,
  elapsed_ms: 400,
  from_start_ms: 1500,
  ready_ms: 1000,
  first_byte_ms: 90,
  second_byte_ms: 45,
  fastest_echo_ms: 41,
  failures: [],
  troubles: [],
  error: null,
  paths: [],
  networks: {},
};
const RELAYED: RunRecord = {
  ...DIRECT,
  ...{ direct: false, strategy: null, reason: 'exhausted', elapsed_ms: null, from_start_ms: null },
  ...{ second_byte_ms: null, fastest_echo_ms: null },
};

function runs(directly: number, relayed: number, change: Partial<RunRecord> = {}): RunRecord[] {
  const list = [...Array(directly).fill(DIRECT), ...Array(relayed).fill(RELAYED)];
  return list.map((run, index) => ({ ...run, index, ...(index === 0 && change) }));
}

describe('statistics', () => {
  // Newcombe, Statistics in Medicine 17 (1998), table I, method 3; 0 of 20 from there as well.
  test.for([
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
    [29, 29, 0.883, 1],
  ] as const)("Wilson's interval of %d of %d", ([successes, count, low, high]) => {
    const [from, to] = wilson(successes, count);
    expect(from).toBeCloseTo(low, 3);
    expect(to).toBeCloseTo(high, 3);
  });

  test('without runs anything is possible', () => expect(wilson(0, 0)).toEqual([0, 1]));

  test('quantiles are values that were seen', () => {
    expect(quantile([3, 1, 2, 4], 0.95)).toBe(4);
    expect(median([3, 1, 2, 4])).toBe(2);
    expect(median([10, 9])).toBe(9);
    expect(median([])).toBeNull();
  });
});

describe('the classes', () => {
  test('have every ordered pair of kinds, each once', () => {
    const names = CLASSES.flatMap(({ entries }) => entries.map((entry) => entry.case.name));
    expect(new Set(names).size).toBe(names.length);
    for (const a of NAT_KIND_NAMES)
      for (const b of NAT_KIND_NAMES) expect(names).toContain(between({ kind: a }, { kind: b }).name);
  });

  test.for(CLASSES)('$name stands on enough runs', ({ entries, minimum }) => {
    const counting = entries.filter((entry) => !entry.case.relayOnly);
    expect(counting.reduce((sum, entry) => sum + entry.runs, 0)).toBeGreaterThanOrEqual(minimum);
    expect(Math.min(...counting.map((entry) => entry.runs))).toBeGreaterThanOrEqual(2);
  });
});

describe('the schedule', () => {
  const options = { seed: 7, done: [] };

  test('shares laboratories, each drawn differently', () => {
    const jobs = schedule([CLASS], options);
    expect(jobs.map(({ indices }) => indices)).toEqual([
      [0, 1, 2, 3, 4],
      [5, 6],
    ]);
    expect(new Set(jobs.map(({ seed }) => seed)).size).toBe(2);
  });

  test('goes on where it was interrupted, in the same laboratories', () => {
    const done = [0, 1, 5].map((index) => ({ class: 'some', pair: PAIR.name, index }));
    const jobs = schedule([CLASS], { ...options, done });
    expect(jobs.map(({ indices }) => indices)).toEqual([[2, 3, 4], [6]]);
    expect(jobs.map(({ seed }) => seed)).toEqual(schedule([CLASS], options).map(({ seed }) => seed));
    expect(
      schedule([CLASS], { ...options, done: [...done, { class: 'other', pair: PAIR.name, index: 2 }] }),
    ).toEqual(jobs);
  });

  test('takes a few cases from all over a class', () => {
    const jobs = schedule(CLASSES, { ...options, runs: 1, cases: 3 });
    expect(jobs.length).toBeLessThanOrEqual(3 * CLASSES.length);
    const kinds = jobs
      .filter((job) => job.class.name === 'independent')
      .map((job) => job.case.scenario.a.kind);
    expect(new Set(kinds).size).toBe(3);
  });
});

describe('the journal', () => {
  test('keeps seed and runs, but not a line that was not finished', () => {
    const file = join(temporaryFolder(), 'runs');
    const journal = new Journal(5, file);
    journal.add(DIRECT);
    const written = readFileSync(file, 'utf8');
    appendFileSync(file, '{"class":"so');
    const again = new Journal(6, file);
    expect([again.seed, again.runs]).toEqual([5, [DIRECT]]);
    expect(readFileSync(file, 'utf8')).toBe(written);
    again.add(RELAYED);
    expect(new Journal(7, file).runs).toEqual([DIRECT, RELAYED]);
  });

  test('is not mixed up with another file', () => {
    const file = join(temporaryFolder(), 'runs');
    appendFileSync(file, '{"name":"underpass"}\n');
    expect(() => new Journal(5, file)).toThrow(/holds no runs/);
  });
});

describe('a class', () => {
  const complaints = (records: readonly RunRecord[], change: Partial<MatrixClass> = {}) =>
    summarizeClass({ ...CLASS, ...change }, records).complaints;

  test('is met by enough runs that came to what they should', () => {
    const summary = summarizeClass(CLASS, runs(5, 2));
    expect(summary).toMatchObject({
      ...{ runs: 7, right: 5, direct: 5, late: 0, failed: 0, astray: 0, errors: 0, complaints: [] },
      ...{ elapsed: { median: 400, p95: 400 }, from_start: { median: 1500, p95: 1500 } },
      ...{ strategies: { birthday: 5 }, reasons: { exhausted: 2 } },
    });
    expect(summary.interval[0]).toBeCloseTo(0.3589, 3);
  });

  test.for([
    ['too few runs', runs(6, 0), {}, '6 of 7 runs'],
    ['too few direct ones', runs(3, 4), {}, '42.9 % is under 50.0 %'],
    ['a slow median', runs(7, 0), { medianMs: 399 }, 'median above 399 ms'],
    [
      'a path that came too late',
      runs(7, 0, { elapsed_ms: 12_001 }),
      { withinMs: 12_000, threshold: 1 },
      '85.7 % is',
    ],
    ['a late first byte', runs(7, 0, { first_byte_ms: 321 }), {}, 'first byte late 1 times'],
    ['no first byte', runs(7, 0, { first_byte_ms: null }), {}, 'first byte late 1 times'],
    ['a failed connection', runs(7, 0, { failures: ['first: reset'] }), {}, '1 connections failed'],
    ['a connection that was relayed', runs(7, 0, { fastest_echo_ms: 81 }), {}, '1 connections went astray'],
    ['a program that complained', runs(7, 0, { troubles: ['server_lost: gone'] }), {}, '1 errors'],
    ['a program that ended', runs(7, 0, { direct: false, error: 'it ended' }), {}, '1 errors'],
    ['the wrong reason', runs(0, 7), { expects: 'unpredictable' }, '0.0 % is under'],
    ['a path where there should be none', runs(7, 0), { expects: 'unpredictable' }, '0.0 % is under'],
  ] as [string, RunRecord[], Partial<MatrixClass>, string][])(
    'is not met by %s',
    ([, records, change, complaint]) => {
      expect(complaints(records, change)).toEqual([expect.stringContaining(complaint)]);
    },
  );

  test('is met by runs that are relayed as they should be', () => {
    expect(complaints(runs(0, 7), { expects: 'exhausted' })).toEqual([]);
  });

  test('claims nothing where nothing is expected', () => {
    expect(complaints(runs(1, 6), { expects: null, threshold: 0 })).toEqual([]);
  });

  test('is compared with runs that want no direct path', () => {
    const entries = entriesOf(7, [PAIR, REFERENCE]);
    const references = runs(0, 7, {}).map((run) => ({ ...run, pair: REFERENCE.name, reason: 'off' }));
    const slower = runs(7, 0).map((run) => ({ ...run, ready_ms: 1011 }));
    expect(complaints([...runs(7, 0), ...references], { entries })).toEqual([]);
    expect(complaints([...slower, ...references], { entries })).toEqual([
      'first byte 1101 ms after the start, 1090 ms without direct mode',
    ]);
  });
});
