import { expect, test } from 'vitest';
import { Consent } from '../../src/punch/consent.ts';
import { ensure, forSeeds } from '../support/seeds.ts';

/** What it wants, and when, while the peer answers the probes that `answers` says. */
function run(consent: Consent, until: number, answers: (probe: number) => boolean): [string, number][] {
  const log: [string, number][] = [];
  for (let now = consent.pollTimeout(); now <= until; now = consent.pollTimeout()) {
    const pulse = consent.handleTimeout(now);
    if (pulse === undefined) throw new Error('woken for nothing');
    log.push([pulse, now]);
    if (pulse === 'lost') break;
    if (answers(log.length)) consent.heard();
  }
  return log;
}

test('a heartbeat every 5 s while the peer answers', () => {
  expect(run(new Consent(() => 0.5, 0), 20_000, () => true)).toEqual([
    ['probe', 5000],
    ['probe', 10_000],
    ['probe', 15_000],
    ['probe', 20_000],
  ]);
});

test('is repeated twice before it counts as missed, and the third miss is the end', () => {
  expect(run(new Consent(() => 0.5, 0), 60_000, () => false)).toEqual([
    ...[5000, 5500, 6500].map((at) => ['probe', at]),
    ['miss', 10_000],
    ...[10_500, 11_500].map((at) => ['probe', at]),
    ['miss', 15_000],
    ...[15_500, 16_500].map((at) => ['probe', at]),
    ['lost', 20_000],
  ]);
});

test('any sign of life makes up for all misses', () => {
  const log = run(new Consent(() => 0.5, 0), 600_000, (probe) => probe % 7 === 0);
  expect(log.some(([pulse]) => pulse === 'miss')).toBe(true);
  expect(log.some(([pulse]) => pulse === 'lost')).toBe(false);
});

test('the time varies by a fifth', () => {
  forSeeds(20, (random) => {
    const log = run(new Consent(() => random.next(), 0), 100_000, () => true);
    log.forEach(([, at], i) => {
      const gap = at - (log[i - 1]?.[1] ?? 0);
      ensure(gap >= 4000 && gap <= 6000, `${gap}`);
    });
  });
});

test('woken early, it does nothing', () => {
  const consent = new Consent(() => 0.5, 0);
  expect(consent.handleTimeout(4999)).toBeUndefined();
  expect(consent.pollTimeout()).toBe(5000);
});
