import { expect, test } from 'vitest';
import { roundTrips } from './services/round-trips.ts';
import { build, describeLab } from './suite.ts';

describeLab('the core', () => {
  test('holds packets back, each way, and varies it', async () => {
    const lab = await build({ a: { kind: 'port-restricted' }, delay: { ms: 30 } });
    const steady = await roundTrips(lab, 'a');
    expect(steady).toHaveLength(5);
    expect(Math.min(...steady)).toBeGreaterThanOrEqual(60);
    expect(Math.min(...steady)).toBeLessThan(90);
    await lab.setDelay({ ms: 10, jitterMs: 40 });
    const jittery = await roundTrips(lab, 'a', { count: 50 });
    expect(jittery).toHaveLength(50);
    expect(Math.min(...jittery)).toBeGreaterThanOrEqual(20);
    expect(Math.max(...jittery) - Math.min(...jittery)).toBeGreaterThan(20);
  });

  test('loses as many packets as it is told', async () => {
    const lab = await build({ a: { kind: 'full-cone' }, delay: { ms: 0, lossPercent: 30 } });
    const arrived = await roundTrips(lab, 'a', { count: 400 });
    // 0.7 each way of 400 is 196, with a standard deviation of 10.
    expect(arrived.length).toBeGreaterThan(146);
    expect(arrived.length).toBeLessThan(246);
  });

  test('lets through as much as it is told, queues a tenth of a second and drops the rest', async () => {
    const lab = await build({ a: { kind: 'open' }, delay: { ms: 0, megabitsPerSecond: 8 } });
    const arrivals = await roundTrips(lab, 'a', { count: 200, size: 972 });
    // 1000 bytes with their headers, so one a millisecond.
    const spacing = ((arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0)) / (arrivals.length - 1);
    expect(spacing).toBeGreaterThan(0.9);
    expect(spacing).toBeLessThan(1.3);
    expect(arrivals.length).toBeGreaterThan(90);
    expect(arrivals.length).toBeLessThan(125);
  });

  test.for([undefined, { ms: 5 }])('is one hop, with delay %j', async (delay) => {
    const lab = await build({ a: { kind: 'port-restricted' }, ...(delay && { delay }) });
    expect(await roundTrips(lab, 'a', { ttl: 2 })).toHaveLength(0);
    expect(await roundTrips(lab, 'a', { ttl: 3 })).toHaveLength(5);
  });
});
