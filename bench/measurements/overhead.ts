import { type Direction, warmUp } from '../load/carry.ts';
import { startLoad } from '../load/load.ts';
import { buildRevision } from '../processes/build.ts';
import { startDirect } from '../processes/direct.ts';
import type { Path } from '../processes/path.ts';
import { startRelay } from '../processes/relay.ts';
import { atLeast } from '../report/figure.ts';
import { printLine } from '../report/print.ts';
import type { Measurement } from './measurement.ts';
import { carryInTurn, compareSpeed } from './speed.ts';

const LEAST = 0.95;
const DIRECTIONS: readonly Direction[] = ['down', 'up'];

export const overhead: Measurement = {
  title: 'throughput of one connection, relayed and direct, beside another revision of the same program',

  async *run(stage, quick, { against }) {
    if (against === undefined) {
      printLine('  left out: it needs --against REF');
      return;
    }
    const length = quick ? { rounds: 3, duration: 1000 } : { rounds: 15, duration: 1600 };
    const other = buildRevision(stage, against);
    const load = await startLoad(stage);
    const start = async (program?: string): Promise<readonly Path[]> => {
      stage.use(program);
      return [await startRelay(stage, 'ws', load.port), await startDirect(stage, load.port)];
    };
    const [theirs, ours] = [await start(other), await start()];
    await warmUp(load, [...theirs, ...ours]);
    for (const [i, subject] of ours.entries()) {
      const yardstick = theirs[i];
      if (yardstick === undefined) continue;
      for (const direction of DIRECTIONS) {
        const plan = { direction, connections: 1, ...length };
        const [bare = [], mine = []] = await carryInTurn(load, [yardstick, subject], plan);
        yield compareSpeed(`${direction} ${subject.name}`, mine, bare, [atLeast(LEAST)]);
      }
    }
  },
};
