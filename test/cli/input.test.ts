import { expect, test } from 'vitest';
import { splitLines } from '../../src/cli/input.ts';

test('lines, in whatever pieces they come', () => {
  const lines: string[] = [];
  const take = splitLines((line) => lines.push(line));
  for (const text of ['pe', 'ers\r\n\nclose a\nclo', 'se', ' b']) take(text);
  expect(lines).toEqual(['peers', '', 'close a']);
  take('\n');
  expect(lines.at(-1)).toBe('close b');
});

test('a line without an end does not fill the memory', () => {
  const lines: string[] = [];
  const take = splitLines((line) => lines.push(line));
  for (let i = 0; i < 1000; i++) take('x'.repeat(10_000));
  take('\npeers\n');
  expect(lines.map((line) => line.length < 2000)).toEqual([true, true]);
  expect(lines[1]).toBe('peers');
});
