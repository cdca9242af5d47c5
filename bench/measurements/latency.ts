import type { Load } from '../load/load.ts';
import type { Path } from '../processes/path.ts';
import type { Figure, Target } from '../report/figure.ts';
import { median, quantile, spread } from '../report/statistics.ts';

/** What the client repeats. */
type Repeated = 'roundTrips' | 'datagrams' | 'openings';

/** What is repeated, and how. */
export interface Plan {
  readonly what: Repeated;
  readonly rounds: number;
  /** Repetitions in each round, through each path. */
  readonly count: number;
}

type Way = Pick<Path, 'name' | 'port'>;

/**
 * Alternates between the yardstick and its subjects, round by round. Returns a figure for each subject: its excess. The yardstick may
 * be something else that is repeated.
 */
export async function compareLatency(
  load: Load,
  yardstick: Way & { readonly what?: Repeated },
  subjects: readonly Way[],
  plan: Plan,
  target: Target,
): Promise<Figure[]> {
  const ways = [{ what: plan.what, ...yardstick }, ...subjects.map((way) => ({ ...way, what: plan.what }))];
  const rounds = ways.map((): number[][] => []);
  // The first round only warms everything up.
  for (let round = -1; round < plan.rounds; round++) {
    for (const [i, { what, port }] of ways.entries()) {
      const times = await load.client.call(what, { port, count: plan.count });
      if (round >= 0) rounds[i]?.push(times);
    }
  }
  const [bare = [], ...measured] = rounds;
  return subjects.map(({ name }, i) => figure(name, measured[i] ?? [], bare, target));
}

function figure(what: string, measured: number[][], bare: number[][], target: Target): Figure {
  const excess = measured.map((times, round) => median(times) - median(bare[round] ?? []));
  return {
    what,
    unit: 'ms',
    subject: median(measured.flat()),
    yardstick: median(bare.flat()),
    compared: { ...spread(excess), unit: 'ms more' },
    targets: [target],
    details: {
      'p99, ms': { subject: quantile(measured.flat(), 0.99), yardstick: quantile(bare.flat(), 0.99) },
    },
  };
}
