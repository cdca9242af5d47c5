import { describe, expect, test } from 'vitest';
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
    ...[10_000, 10_500, 11_500].map((at) => ['doubt', at]),
    ...[15_000, 15_500, 16_500].map((at) => ['doubt', at]),
    ['lost', 20_000],
  ]);
});

test('any sign of life makes up for all misses', () => {
  const log = run(new Consent(() => 0.5, 0), 600_000, (probe) => probe % 7 === 0);
  expect(log.some(([pulse]) => pulse === 'doubt')).toBe(true);
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

describe('what a NAT forgets', () => {
  /** The times from one heartbeat to the next, of a path on which a first probe is answered only after less than `memory`. */
  function gaps(memory: number): number[] {
    const consent = new Consent(() => 0.5, 0);
    const beats: number[] = [];
    let usedAt = 0;
    for (let now = consent.pollTimeout(); now < 200_000; now = consent.pollTimeout()) {
      expect(consent.handleTimeout(now)).toBe('probe');
      if (now - usedAt < memory) consent.heard(now);
      if (now - usedAt !== 500) beats.push(now);
      usedAt = now;
    }
    return beats.slice(1).map((at, i) => at - (beats[i] ?? 0));
  }

  test('is not forgotten: heartbeats come sooner', () => {
    const seen = gaps(3000);
    expect(seen.filter((gap) => gap > 3000).length).toBeLessThan(seen.length / 4);
    expect(Math.min(...seen)).toBeGreaterThanOrEqual(1250);
  });

  test('decides nothing while all is answered', () => {
    expect(new Set(gaps(6000))).toEqual(new Set([5000]));
  });
});

describe('a check', () => {
  const checked = () => {
    const consent = new Consent(() => 0.5, 0);
    consent.check(1000);
    return consent;
  };

  test('is three probes, the last two in doubt, and then the end', () => {
    expect(run(checked(), 60_000, () => false)).toEqual([
      ['probe', 1000],
      ['doubt', 1500],
      ['doubt', 2000],
      ['lost', 2500],
    ]);
  });

  test('is passed by an answer to one of its own probes, and by nothing else', () => {
    const consent = checked();
    consent.handleTimeout(1000);
    consent.heard(999);
    consent.heard();
    expect(consent.pollTimeout()).toBe(1500);
    consent.heard(1000);
    expect(consent.pollTimeout()).toBe(2500);
    expect(consent.doubted).toBe(false);
    expect(run(consent, 20_000, () => true).map(([pulse]) => pulse)).not.toContain('lost');
  });

  test('is not prolonged by another one', () => {
    const consent = checked();
    consent.handleTimeout(1000);
    consent.check(1400);
    expect(run(consent, 60_000, () => false).at(-1)).toEqual(['lost', 2500]);
  });
});
