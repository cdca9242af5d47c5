import type { Participant, Path } from '../processes/path.ts';
import type { Stage } from '../processes/stage.ts';
import type { PipeHandlers } from './pipe.ts';

/** As many as a relayed connection passes: subscriber, server, publisher. */
const PIPES = 3;

/** Bare proxies in a row, a process each: the yardstick of everything that goes through a relay. */
export async function startChain(stage: Stage, servicePort: number): Promise<Path> {
  const participants: Participant[] = [];
  let port = servicePort;
  for (let i = PIPES; i > 0; i--) {
    const pipe = stage.worker<PipeHandlers>('yardsticks/pipe');
    port = await pipe.call('listen', port);
    participants.unshift({ role: `pipe ${i}`, pid: pipe.pid });
  }
  return { name: 'bare', port, participants };
}
