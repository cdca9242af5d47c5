import type { Path } from '../processes/path.ts';
import type { Stage } from '../processes/stage.ts';
import type { QuicProxyHandlers } from './quic-proxy.ts';

/** Two bare QUIC proxies, a process each: the yardstick of everything that goes over a direct path. */
export async function startQuicPair(stage: Stage, servicePort: number): Promise<Path> {
  const near = stage.worker<QuicProxyHandlers>('yardsticks/quic-proxy');
  const far = stage.worker<QuicProxyHandlers>('yardsticks/quic-proxy');
  const [nearUdp, farUdp] = [await near.call('bind'), await far.call('bind')];
  await far.call('publish', { peerPort: nearUdp, servicePort });
  return {
    name: 'bare',
    port: await near.call('subscribe', { peerPort: farUdp }),
    participants: [
      { role: 'near', pid: near.pid },
      { role: 'far', pid: far.pid },
    ],
  };
}
