import type { Laboratory } from '../../test/lab/laboratory.ts';
import { startPublisher, startServer, startSubscriber, told } from '../../test/lab/services/underpass.ts';
import type { LabProcess } from '../../test/lab/system/lab-process.ts';
import type { Path } from './path.ts';

/** A tunnel in a laboratory, and its subscriber, which tells how it goes. */
export interface LabTunnel extends Path {
  readonly subscriber: LabProcess;
}

/** The real programs at two sites, and a direct path between them. */
export async function startLabTunnel(lab: Laboratory, mode: 'auto' | 'direct'): Promise<LabTunnel> {
  await startServer(lab);
  await startPublisher(lab, 'b', { flags: ['--mode', mode] });
  const tunnel = await joinLabTunnel(lab, mode);
  await tunnel.subscriber.output(() => told(tunnel.subscriber, 'path').find(({ kind }) => kind === 'direct'));
  return tunnel;
}

/** One more subscriber, whatever path it has. */
export async function joinLabTunnel(lab: Laboratory, mode: 'auto' | 'direct'): Promise<LabTunnel> {
  const subscriber = startSubscriber(lab, 'a', { flags: ['--mode', mode] });
  const { listen } = await subscriber.output(() => told(subscriber, 'ready')[0]);
  const port = Number(String(listen).split(':').at(-1));
  return { name: 'direct', port, participants: [{ role: 'subscriber', pid: subscriber.pid }], subscriber };
}
