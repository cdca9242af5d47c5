import type { Participant } from '../processes/path.ts';
import type { Worker } from '../processes/rpc.ts';
import type { Stage } from '../processes/stage.ts';
import type { ClientHandlers } from './client.ts';
import type { ServiceHandlers } from './service.ts';

/** The two ends of every path: an application and the service that it wants, a process each. */
export interface Load {
  readonly client: Worker<ClientHandlers>;
  readonly service: Worker<ServiceHandlers>;
  /** Where the service listens. */
  readonly port: number;
  readonly participants: readonly Participant[];
}

export async function startLoad(stage: Stage): Promise<Load> {
  const client = stage.worker<ClientHandlers>('load/client');
  const service = stage.worker<ServiceHandlers>('load/service');
  return {
    client,
    service,
    port: await service.call('port'),
    participants: [
      { role: 'client', pid: client.pid },
      { role: 'service', pid: service.pid },
    ],
  };
}
