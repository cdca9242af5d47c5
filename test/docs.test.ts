import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exitCodeOf } from '../src/cli/exit.ts';
import { catalogue, type ErrorCode } from '../src/errors.ts';
import { LINK_MODES } from '../src/index.ts';
import { LOG_FORMATS, LOG_LEVELS } from '../src/log.ts';
import { describePathReason } from '../src/path-reason.ts';
import { STRATEGIES } from '../src/punch/strategies.ts';
import { defaultLimits } from '../src/signaling/limits.ts';

const read = (name: string) => readFileSync(join(import.meta.dirname, '..', 'docs', name), 'utf8');

/** The words in the first column of the table that follows some text of the README. */
function wordsOf(table: string): string[] {
  const [, after = ''] = read('../README.md').split(table);
  const rows = /^(?:\|.*\n)+/m.exec(after)?.[0] ?? '';
  return rows
    .split('\n')
    .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(.+?)`/g)].map(([, word]) => word ?? ''));
}

test('docs/errors.md lists every code, with the texts and exit codes of the catalogue', () => {
  const documented: unknown[] = [];
  let exitCode = Number.NaN;
  for (const line of read('errors.md').split('\n')) {
    exitCode = Number(/^## .* \(exit code (\d)\)$/.exec(line)?.[1] ?? exitCode);
    const [, code, message, meaning, hint] = /^\| `(\w+)` \| (.*) \| (.*) \| (.*) \|$/.exec(line) ?? [];
    if (code === undefined) continue;
    expect(meaning, code).toMatch(/\w.*\.$/);
    documented.push({ code, message, hint, exitCode });
  }
  const byCode = (list: unknown[]) => list.map((entry) => JSON.stringify(entry)).sort();
  const codes = Object.keys(catalogue) as ErrorCode[];
  const expected = codes.map((code) => {
    const { message, hint } = catalogue[code];
    return { code, message, hint, exitCode: exitCodeOf(code) };
  });
  expect(byCode(documented)).toEqual(byCode(expected));
});

test('docs/configuration.md names every limit with its default, and every choice', () => {
  const text = read('configuration.md');
  for (const [name, value] of Object.entries(defaultLimits)) {
    expect(text).toMatch(new RegExp(`\\| \`${name}\` \\| ${value} \\|`));
  }
  for (const choice of [...LINK_MODES, ...LOG_LEVELS, ...LOG_FORMATS])
    expect(text).toContain(`\`${choice}\``);
});

test('the README and docs/configuration.md name every strategy and every reason', () => {
  const text = read('configuration.md');
  const [strategies, reasons] = [wordsOf('(`strategy`):'), wordsOf('(`reason`):')];
  expect(strategies.sort()).toEqual([...STRATEGIES].sort());
  expect(reasons).toHaveLength(16);
  for (const reason of reasons) expect(describePathReason(reason), reason).toMatch(/ /);
  for (const word of [...strategies, ...reasons]) expect(text).toContain(`\`${word}\``);
});
