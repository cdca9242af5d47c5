import { expect, test } from 'vitest';
import { ProbeBudget } from '../../src/punch/probe-budget.ts';

const at = (port: number) => ({ address: '45.80.1.2', port });
/** How many of so many are allowed. */
const allowed = (count: number, take: (i: number) => boolean) =>
  Array.from({ length: count }, (_, i) => take(i)).filter(Boolean).length;

test('ten probes a minute to an address that never answers, and ten that answer what comes from there', () => {
  const budget = new ProbeBudget();
  expect(allowed(50, (i) => budget.take(at(5000), false, i))).toBe(10);
  expect(allowed(50, (i) => budget.take(at(5000), true, i))).toBe(10);
  expect(budget.take(at(5000), false, 59_999)).toBe(false);
  expect(allowed(50, () => budget.take(at(5000), false, 60_000))).toBe(10);
});

test('sixteen addresses a minute, each with its own minute', () => {
  const budget = new ProbeBudget();
  expect(allowed(50, (i) => budget.take(at(5000 + i), false, i))).toBe(16);
  expect(budget.take(at(6000), false, 59_999)).toBe(false);
  expect(budget.take(at(6000), false, 60_000)).toBe(true);
  expect(budget.take(at(6001), false, 60_000)).toBe(false);
});

test('what answers has all of its probes again, and makes room', () => {
  const budget = new ProbeBudget();
  expect(allowed(50, (i) => budget.take(at(5000), false, i))).toBe(10);
  budget.answered(at(5000));
  expect(allowed(50, (i) => budget.take(at(5000), false, i))).toBe(10);
  budget.answered(at(5000));
  expect(allowed(50, (i) => budget.take(at(6000 + i), false, i))).toBe(16);
});

test('another network of our own is another beginning', () => {
  const budget = new ProbeBudget();
  expect(allowed(50, (i) => budget.take(at(5000 + i), false, i))).toBe(16);
  budget.renew();
  expect(allowed(50, (i) => budget.take(at(5000 + i), false, i))).toBe(16);
});
