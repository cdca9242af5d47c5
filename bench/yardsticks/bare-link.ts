import type { Participant, Path } from '../processes/path.ts';
import type { Stage } from '../processes/stage.ts';
import type { PipeHandlers } from './pipe.ts';

/** As many as a direct connection passes: subscriber and publisher. */
const PIPES = 2;

/** A path for TCP and for UDP. */
export interface Link extends Path {
  readonly udpPort: number;
}

/** Bare proxies for both in a row, a process each: the yardstick of a game that shares its link with a download. */
export async function startBareLink(stage: Stage, tcpPort: number, udpPort: number): Promise<Link> {
  const participants: Participant[] = [];
  let ports = { port: tcpPort, udpPort };
  for (let i = PIPES; i > 0; i--) {
    const pipe = stage.worker<PipeHandlers>('yardsticks/pipe');
    ports = {
      port: await pipe.call('listen', ports.port),
      udpPort: await pipe.call('listenUdp', ports.udpPort),
    };
    participants.unshift({ role: `pipe ${i}`, pid: pipe.pid });
  }
  return { name: 'bare', ...ports, participants };
}
