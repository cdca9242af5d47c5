import { describe, expect, it } from 'vitest';
import { RateLimiter, rateKey } from '../../src/net/rate-limit.ts';

describe('RateLimiter', () => {
  it('allows so many at once and refills over a minute', () => {
    const limiter = new RateLimiter(6);
    for (let i = 0; i < 6; i++) expect(limiter.take('a', 0)).toBe(true);
    expect(limiter.take('a', 0)).toBe(false);
    expect(limiter.exhausted('a', 9_999)).toBe(true);
    expect(limiter.exhausted('a', 10_000)).toBe(false);
    expect(limiter.take('a', 10_000)).toBe(true);
    expect(limiter.take('a', 10_000)).toBe(false);
    expect(limiter.take('b', 10_000)).toBe(true);
  });

  it('never allows more than twice the rate in any minute, even when asked all the time', () => {
    const limiter = new RateLimiter(20);
    let taken = 0;
    for (let now = 0; now < 60_000; now += 7) if (limiter.take('a', now)) taken++;
    expect(taken).toBeGreaterThanOrEqual(20);
    expect(taken).toBeLessThanOrEqual(40);
  });

  it('takes a new rate at once', () => {
    const limiter = new RateLimiter(100);
    limiter.take('a', 0);
    limiter.setRate(1);
    expect(limiter.take('a', 0)).toBe(true);
    expect(limiter.take('a', 0)).toBe(false);
  });

  it('remembers a bounded number of keys, and forgets those that are full again', () => {
    const limiter = new RateLimiter(10, 100);
    for (let i = 0; i < 1000; i++) limiter.take(`k${i}`, 0);
    expect(limiter.size).toBe(100);
    for (let i = 0; i < 200; i++) limiter.take('one', 60_000 + i);
    expect(limiter.size).toBe(1);
  });
});

it.each([
  ['192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:db8::5', '2001:db8:0:0'],
  ['2001:0db8::', '2001:db8:0:0'],
  ['::1', '0:0:0:0'],
])('counts %s as %s', (address, key) => {
  expect(rateKey(address)).toBe(key);
});
