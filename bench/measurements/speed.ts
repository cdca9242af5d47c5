import { type Carried, carry, type Direction } from '../load/carry.ts';
import type { Load } from '../load/load.ts';
import type { Path } from '../processes/path.ts';
import type { Figure, Target } from '../report/figure.ts';
import { median, medians, spread, total } from '../report/statistics.ts';

export interface SpeedPlan {
  readonly direction: Direction;
  readonly connections: number;
  readonly rounds: number;
  /** Of each round and path, in milliseconds. */
  readonly duration: number;
}

/** Alternates between paths, round by round. Returns what each has carried. */
export async function carryInTurn(
  load: Load,
  paths: readonly Path[],
  { direction, connections, rounds, duration }: SpeedPlan,
): Promise<Carried[][]> {
  const carried = paths.map((): Carried[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, path] of paths.entries()) {
      carried[i]?.push(await carry(load, path, direction, duration, connections));
    }
  }
  return carried;
}

/** What a path has carried, beside its yardstick, round by round. */
export function compareSpeed(
  what: string,
  subject: readonly Carried[],
  yardstick: readonly Carried[],
  targets: readonly Target[],
): Figure {
  const processing = medians(subject.map(({ cpu }) => cpu));
  const bareProcessing = medians(yardstick.map(({ cpu }) => cpu));
  const ratios = subject.map(({ speed }, round) => speed / (yardstick[round]?.speed ?? Number.NaN));
  return {
    what,
    unit: 'MiB/s',
    subject: median(subject.map(({ speed }) => speed)),
    yardstick: median(yardstick.map(({ speed }) => speed)),
    compared: { ...spread(ratios), unit: '×' },
    targets,
    details: {
      'processor time, µs/MiB': processing,
      'of the yardstick': bareProcessing,
      'yardstick by subject': {
        'processor time': total(Object.values(bareProcessing)) / total(Object.values(processing)),
      },
    },
  };
}
