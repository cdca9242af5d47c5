import type { Path } from '../processes/path.ts';
import type { Stage } from '../processes/stage.ts';
import type { DhtProxyHandlers } from './dht-proxy.ts';

/** Two proxies that speak with each other by hyperdht, a process each; the nodes that introduce them are in a third. */
export async function startDht(stage: Stage, servicePort: number): Promise<Path> {
  const [nodes, near, far] = [1, 2, 3].map(() => stage.worker<DhtProxyHandlers>('yardsticks/dht-proxy'));
  if (nodes === undefined || near === undefined || far === undefined) throw new Error('unreachable');
  const bootstrap = await nodes.call('introduce');
  const key = await far.call('publish', { bootstrap, servicePort });
  return {
    name: 'hyperdht',
    port: await near.call('subscribe', { bootstrap, key }),
    participants: [
      { role: 'near', pid: near.pid },
      { role: 'far', pid: far.pid },
    ],
  };
}
