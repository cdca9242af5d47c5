import type { Participant } from '../processes/path.ts';
import type { Worker } from '../processes/rpc.ts';
import type { Stage } from '../processes/stage.ts';
import type { ClientHandlers } from './client.ts';
import type { Place } from './echo.ts';
import type { ServiceHandlers } from './service.ts';

/** The two ends of every path: an application and the service that it wants, a process each. */
export interface Load {
  readonly client: Worker<ClientHandlers>;
  readonly service: Worker<ServiceHandlers>;
  /** Where the service listens. */
  readonly port: number;
  readonly participants: readonly Participant[];
}

/** Network namespaces for the two ends, and where the service listens: they are apart. */
export interface Apart {
  readonly client: string;
  readonly service: string;
  readonly at: Place;
}

/** Starts both: on loopback, unless they are to be apart. */
export async function startLoad(stage: Stage, apart?: Apart): Promise<Load> {
  if (apart !== undefined) stage.enter(apart.client);
  const client = stage.worker<ClientHandlers>('load/client');
  if (apart !== undefined) stage.enter(apart.service);
  const service = stage.worker<ServiceHandlers>('load/service');
  return {
    client,
    service,
    port: await service.call('listen', apart?.at ?? { port: 0 }),
    participants: [
      { role: 'client', pid: client.pid },
      { role: 'service', pid: service.pid },
    ],
  };
}
