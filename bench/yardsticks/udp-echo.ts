import type { Stage } from '../processes/stage.ts';
import type { UdpServiceHandlers } from './udp-service.ts';

/** A process that sends every datagram back: nothing goes round on UDP in less time. */
export async function startUdpEcho(stage: Stage): Promise<{ readonly name: string; readonly port: number }> {
  const service = stage.worker<UdpServiceHandlers>('yardsticks/udp-service');
  return { name: 'bare', port: await service.call('port') };
}
