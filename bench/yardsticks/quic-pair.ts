import type { Path } from '../processes/path.ts';
import type { Stage } from '../processes/stage.ts';
import type { QuicProxyHandlers } from './quic-proxy.ts';

/**
 * Two bare QUIC proxies, a process each: the yardstick of everything that goes over a direct path.
 *
 * @param proxy for TCP connections; `quic-udp-proxy` for datagrams, which has the same handlers
 */
export async function startQuicPair(
  stage: Stage,
  servicePort: number,
  proxy: 'quic-proxy' | 'quic-udp-proxy' = 'quic-proxy',
): Promise<Path> {
  const near = stage.worker<QuicProxyHandlers>(`yardsticks/${proxy}`);
  const far = stage.worker<QuicProxyHandlers>(`yardsticks/${proxy}`);
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
