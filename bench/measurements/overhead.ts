import { setTimeout as delay } from 'node:timers/promises';
import { type Carried, type Direction, warmUp } from '../load/carry.ts';
import { startLoad } from '../load/load.ts';
import { buildRevision } from '../processes/build.ts';
import { startDirect } from '../processes/direct.ts';
import type { Path } from '../processes/path.ts';
import { startRelay } from '../processes/relay.ts';
import { Stage } from '../processes/stage.ts';
import { atLeast } from '../report/figure.ts';
import { printLine } from '../report/print.ts';
import type { Measurement } from './measurement.ts';
import { carryInTurn, compareSpeed } from './speed.ts';

const LEAST = 0.95;
const DIRECTIONS: readonly Direction[] = ['down', 'up'];
const KINDS = ['relayed', 'direct'] as const;
/** After the warm-up, in milliseconds: V8 collects what a process that idles has left, and forgets how often it had to before. */
const REST = 12_000;

export const overhead: Measurement = {
  title: 'throughput of one connection, relayed and direct, beside another revision of the same program',

  async *run(stage, quick, { against }) {
    if (against === undefined) {
      printLine('  left out: it needs --against REF');
      return;
    }
    const other = buildRevision(stage, against);
    const plan = quick
      ? { generations: 2, rounds: 3, duration: 1000 }
      : { generations: 4, rounds: 5, duration: 1600 };
    for (const kind of KINDS) {
      const results = DIRECTIONS.map((): Pair => ({ ours: [], theirs: [] }));
      for (let generation = 0; generation < plan.generations; generation++) {
        await compareOnce(kind, [undefined, other], generation % 2 === 1, plan, results);
      }
      for (const [i, direction] of DIRECTIONS.entries()) {
        const { ours = [], theirs = [] } = results[i] ?? {};
        yield compareSpeed(`${direction} ${kind}`, ours, theirs, [atLeast(LEAST)]);
      }
    }
  },
};

/** Rounds of both builds in one direction. */
interface Pair {
  readonly ours: Carried[];
  readonly theirs: Carried[];
}

/**
 * Fresh processes of both builds, and some rounds with each in turn. How a process does depends on its first seconds, and on who had
 * the machine meanwhile: so there are several, and neither build is always the first.
 */
async function compareOnce(
  kind: (typeof KINDS)[number],
  [ourProgram, theirProgram]: readonly [string | undefined, string | undefined],
  reversed: boolean,
  { rounds, duration }: { readonly rounds: number; readonly duration: number },
  results: readonly Pair[],
): Promise<void> {
  const stage = new Stage();
  const inOrder = <T>(pair: readonly [T, T]): readonly T[] => (reversed ? pair.toReversed() : pair);
  const run = async () => {
    const load = await startLoad(stage);
    const paths: Path[] = [];
    for (const program of inOrder([ourProgram, theirProgram])) {
      stage.use(program);
      paths.push(
        kind === 'relayed' ? await startRelay(stage, 'ws', load.port) : await startDirect(stage, load.port),
      );
    }
    await warmUp(load, paths);
    await delay(REST);
    for (const [i, direction] of DIRECTIONS.entries()) {
      const carried = await carryInTurn(load, paths, { direction, connections: 1, rounds, duration });
      const [ours = [], theirs = []] = reversed ? carried.toReversed() : carried;
      results[i]?.ours.push(...ours);
      results[i]?.theirs.push(...theirs);
    }
  };
  try {
    await Promise.race([run(), stage.failed]);
  } finally {
    stage.close();
  }
}
