import { expect, it, onTestFinished } from 'vitest';
import { Metrics } from '../../src/tunnel/metrics.ts';

function create(): Metrics {
  const metrics = new Metrics(() => ({ sessions: 3, tunnels: 2, links: 1 }));
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
