import { expect, it } from 'vitest';
import { TunnelRates } from '../../src/relay/tunnel-rates.ts';
import { VirtualRuntime } from '../support/virtual-runtime.ts';

const RATE = 1000;

it('gives the links of a tunnel one bucket, and each tunnel its own', () => {
  const rates = new TunnelRates(new VirtualRuntime());
  expect(rates.acquire('game', RATE)).toBe(rates.acquire('game', RATE));
  expect(rates.acquire('web', RATE)).not.toBe(rates.acquire('game', RATE));
});

it('keeps a bucket without links until it is full', () => {
  const runtime = new VirtualRuntime();
  const rates = new TunnelRates(runtime);
  const bucket = rates.acquire('game', RATE);
  bucket.take(2 * RATE, runtime.now());
  rates.release('game');
  runtime.advance(1900);
  expect(rates.acquire('game', RATE)).toBe(bucket);
  runtime.advance(10_000);
  expect(rates.size).toBe(1);
  bucket.take(RATE, runtime.now());
  rates.release('game');
  runtime.advance(999);
  expect(rates.size).toBe(1);
  runtime.advance(2);
  expect(rates.size).toBe(0);
  expect(rates.acquire('game', RATE)).not.toBe(bucket);
});

it('forgets a full bucket, and one without a limit, at once', () => {
  const runtime = new VirtualRuntime();
  const rates = new TunnelRates(runtime);
  rates.acquire('unused', RATE);
  rates.acquire('unlimited', 0).take(1e9, 0);
  rates.release('unused');
  rates.release('unlimited');
  expect([rates.size, runtime.pendingTimers]).toEqual([0, 0]);
});

it('leaves no timer behind when it is closed', () => {
  const runtime = new VirtualRuntime();
  const rates = new TunnelRates(runtime);
  rates.acquire('game', RATE).take(RATE, 0);
  rates.release('game');
  expect(runtime.pendingTimers).toBe(1);
  rates.close();
  expect([rates.size, runtime.pendingTimers]).toEqual([0, 0]);
});
