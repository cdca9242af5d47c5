import type { Load } from '../load/load.ts';
import type { Path } from '../processes/path.ts';
import type { Scheme } from '../processes/relay.ts';
import type { Figure, Target } from '../report/figure.ts';
import { median, quantile, spread } from '../report/statistics.ts';

/** What is repeated, and how. */
export interface Plan {
  readonly what: 'roundTrips' | 'openings';
  readonly rounds: number;
  /** Repetitions in each round, through each path. */
  readonly count: number;
}

/** Alternates between the yardstick and the relays, round by round. Returns a figure for each relay: its excess. */
export async function compareLatency(
  load: Load,
  chain: Path,
  relays: readonly (Path & { readonly name: Scheme })[],
  plan: Plan,
  target: Target,
): Promise<Figure[]> {
  const paths = [chain, ...relays];
  const rounds = paths.map((): number[][] => []);
  // The first round only warms everything up.
  for (let round = -1; round < plan.rounds; round++) {
    for (const [i, { port }] of paths.entries()) {
      const times = await load.client.call(plan.what, { port, count: plan.count });
      if (round >= 0) rounds[i]?.push(times);
    }
  }
  const [bare = [], ...relayed] = rounds;
  return relays.map(({ name }, i) => figure(name, relayed[i] ?? [], bare, target));
}

function figure(scheme: Scheme, relayed: number[][], bare: number[][], target: Target): Figure {
  const excess = relayed.map((times, round) => median(times) - median(bare[round] ?? []));
  return {
    what: `over ${scheme}`,
    unit: 'ms',
    subject: median(relayed.flat()),
    yardstick: median(bare.flat()),
    compared: { ...spread(excess), unit: 'ms more' },
    targets: [target],
    details: {
      'p99, ms': { relayed: quantile(relayed.flat(), 0.99), yardstick: quantile(bare.flat(), 0.99) },
    },
  };
}
