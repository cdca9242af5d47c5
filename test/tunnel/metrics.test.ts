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

it('counts searches and direct bytes, under labels of which there are few', async () => {
  const metrics = create();
  const search = { outcome: 'direct', strategy: 'bracket', milliseconds: 400 };
  metrics.searched(search);
  metrics.searched({ ...search, milliseconds: 3000 });
  metrics.searched({ ...search, strategy: undefined, milliseconds: undefined });
  metrics.searched({ outcome: 'unpredictable', strategy: undefined, milliseconds: undefined });
  for (const word of ['x', 'y', 'constructor'])
    metrics.searched({ ...search, outcome: word, strategy: word });
  metrics.direct('up', 1000);
  metrics.direct('up', 500);
  metrics.direct('down', 7);
  const port = await metrics.listen('127.0.0.1', 0);
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const lines = text.split('\n').filter((line) => /^underpass_(searches|time_to|direct)/.test(line));
  expect(lines.filter((line) => line.startsWith('underpass_searches'))).toEqual([
    'underpass_searches_total{outcome="direct",strategy="bracket"} 2',
    'underpass_searches_total{outcome="direct",strategy="none"} 1',
    'underpass_searches_total{outcome="unpredictable",strategy="none"} 1',
    'underpass_searches_total{outcome="other",strategy="other"} 3',
  ]);
  // Only what was found, and only where somebody has said how long it took.
  const time = 'underpass_time_to_direct_client_reported_seconds';
  expect(lines.filter((line) => line.startsWith(`${time}_count`))).toEqual([
    `${time}_count{strategy="bracket"} 2`,
  ]);
  expect(lines).toContain(`${time}_bucket{le="0.5",strategy="bracket"} 1`);
  expect(lines).toContain(`${time}_sum{strategy="bracket"} 3.4`);
  expect(lines).toContain('underpass_direct_bytes_client_reported_total{direction="up"} 1500');
  expect(lines).toContain('underpass_direct_bytes_client_reported_total{direction="down"} 7');
  // What clients claim is not what the server has carried.
  expect(text).not.toMatch(/^underpass_relayed_bytes_total\{/m);
});
