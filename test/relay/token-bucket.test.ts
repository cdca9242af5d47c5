import { describe, expect, it } from 'vitest';
import { TokenBucket } from '../../src/relay/token-bucket.ts';
import { ensure, forSeeds } from '../support/seeds.ts';

describe('a token bucket', () => {
  it('lets a second’s worth pass at once, and waits for the rest', () => {
    const bucket = new TokenBucket(1000, 0);
    expect(bucket.take(1000, 0)).toBe(0);
    expect(bucket.take(500, 0)).toBe(500);
    expect(bucket.take(0, 500)).toBe(0);
    expect(bucket.take(100, 500)).toBe(100);
  });

  it('saves no more than one second', () => {
    const bucket = new TokenBucket(1000, 0);
    bucket.take(1000, 0);
    expect(bucket.take(1001, 1e9)).toBe(1);
  });

  it('has no limit at rate 0', () => {
    expect(new TokenBucket(0, 0).take(Number.MAX_SAFE_INTEGER, 0)).toBe(0);
  });

  it('says when it is full again, debts included', () => {
    const bucket = new TokenBucket(1000, 0);
    expect(bucket.untilFull(0)).toBe(0);
    bucket.take(1500, 0);
    expect(bucket.untilFull(0)).toBe(1500);
    expect(bucket.untilFull(1400)).toBe(100);
    expect(bucket.untilFull(1e9)).toBe(0);
    expect(new TokenBucket(0, 0).untilFull(0)).toBe(0);
  });

  it('never lets through more than rate × time plus the burst, when its waits are kept', () => {
    forSeeds(2000, (random) => {
      const rate = 1 + random.integer(100_000);
      const bucket = new TokenBucket(rate, 0);
      let [now, passed] = [0, 0];
      for (let i = 0; i < 50; i++) {
        const bytes = random.integer(2 * rate);
        const wait = bucket.take(bytes, now);
        passed += bytes;
        ensure(passed <= ((now + wait) * rate) / 1000 + rate + 1, 'the rate holds');
        now += wait + random.pick([0, 0, 1, 700]);
      }
    });
  });
});
