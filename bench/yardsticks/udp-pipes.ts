import type { Stage } from '../processes/stage.ts';
import type { PipeHandlers } from './pipe.ts';

/** As many as a direct connection passes: subscriber and publisher. */
const PIPES = 2;

/** Bare proxies of UDP in a row, a process each: the yardstick of a game. Returns the first one's port. @param target where they lead */
export async function startUdpPipes(stage: Stage, target: number): Promise<number> {
  let port = target;
  for (let i = 0; i < PIPES; i++) {
    port = await stage.worker<PipeHandlers>('yardsticks/pipe').call('listenUdp', port);
  }
  return port;
}
