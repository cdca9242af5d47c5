import { beforeAll, describe, expect, inject, onTestFinished } from 'vitest';
import { Laboratory } from './laboratory.ts';
import { type Check, complaints } from './prober/check.ts';
import { inPool } from './system/pool.ts';
import type { LaboratoryOptions } from './topology/options.ts';

/** Printed when the tests begin. */
export const SEED = inject('laboratorySeed');

/** As vitest's; skipped, and counted as that, where the machine cannot have a laboratory. */
export const describeLab = describe.skipIf(inject('laboratoryObstacle') !== '');

/** A laboratory for the running test; it is removed when the test has finished. */
export async function build(options: LaboratoryOptions): Promise<Laboratory> {
  const lab = await Laboratory.build({ seed: SEED, ...options });
  onTestFinished(() => lab.close());
  return lab;
}

export function expectRight(checks: readonly Check[]): void {
  expect(checks.length).toBeGreaterThan(0);
  expect(complaints(checks)).toEqual([]);
}

/** Looks again and again until there is something. */
export async function eventually<T>(look: () => Promise<T | undefined>, ms = 5000): Promise<T> {
  const deadline = performance.now() + ms;
  while (true) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Error(`nothing within ${ms} ms`);
  }
}

/**
 * Begins the work of all tests of a suite before the first of them, so many at once, as most of it is waiting. Returns where a
 * test finds what became of its own.
 */
export function pooled<T, R>(
  atOnce: number,
  inputs: readonly T[],
  work: (input: T) => Promise<R>,
): (input: T) => Promise<R> {
  let begun: Promise<R>[] = [];
  beforeAll(() => {
    begun = inPool(atOnce, inputs, work);
  });
  return async (input) => {
    const promise = begun[inputs.indexOf(input)];
    if (promise === undefined) throw new Error('this was not begun');
    return promise;
  };
}
