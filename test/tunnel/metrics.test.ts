import { expect, it, onTestFinished } from 'vitest';
import { type MetricSources, Metrics } from '../../src/tunnel/metrics.ts';

function create(sources: Partial<MetricSources> = {}): Metrics {
  const metrics = new Metrics({
    counts: () => ({ sessions: 3, tunnels: 2, links: 1 }),
    sessionsByNat: () => ({}),
    stunAnswers: () => 0,
    ...sources,
  });
  onTestFinished(() => metrics.close());
  return metrics;
}

it('says when its port is taken', async () => {
  const port = await create().listen('127.0.0.1', 0);
  await expect(create().listen('127.0.0.1', port)).rejects.toMatchObject({
    code: 'port_in_use',
    details: { host: '127.0.0.1', port },
  });
});

it('asks for every figure when somebody looks', async () => {
  let [symmetric, answers] = [1, 7];
  const port = await create({
    sessionsByNat: () => ({ symmetric, unknown: 0 }),
    stunAnswers: () => answers,
  }).listen('127.0.0.1', 0);
  const look = async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const first = await look();
  expect(first).toContain('\nunderpass_sessions 3\n');
  expect(first).toContain('\nunderpass_sessions_by_nat{type="symmetric"} 1\n');
  expect(first).toContain('\nunderpass_sessions_by_nat{type="unknown"} 0\n');
  expect(first).toContain('\nunderpass_stun_answers_total 7\n');
  [symmetric, answers] = [2, 9];
  const second = await look();
  expect(second).toContain('\nunderpass_sessions_by_nat{type="symmetric"} 2\n');
  expect(second).toContain('\nunderpass_stun_answers_total 9\n');
});
