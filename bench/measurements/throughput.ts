import { type Carried, carry, type Direction, warmUp } from '../load/carry.ts';
import { startLoad } from '../load/load.ts';
import { SCHEMES, type Scheme, startRelay } from '../processes/relay.ts';
import { atLeast, type Figure, type Target } from '../report/figure.ts';
import { median, medians, spread, total } from '../report/statistics.ts';
import { startChain } from '../yardsticks/chain.ts';
import type { Measurement } from './measurement.ts';

const DIRECTIONS: readonly Direction[] = ['down', 'up', 'both'];

const TARGETS: Readonly<Record<Scheme, readonly Target[]>> = {
  ws: [atLeast(0.4), atLeast(0.5, 'aim')],
  wss: [atLeast(0.2), atLeast(0.35, 'aim')],
};

export const throughput: Measurement = {
  title: 'relayed throughput of one connection, beside three bare proxies in a row',

  async *run(stage, quick) {
    const rounds = quick ? 2 : 5;
    const duration = quick ? 1000 : 1600;
    const load = await startLoad(stage);
    const chain = await startChain(stage, load.port);
    const relays = await Promise.all(SCHEMES.map((scheme) => startRelay(stage, scheme, load.port)));

    await warmUp(load, [chain, ...relays]);
    for (const direction of DIRECTIONS) {
      const bare: Carried[] = [];
      const relayed = relays.map(({ name }) => ({ scheme: name, carried: [] as Carried[] }));
      for (let round = 0; round < rounds; round++) {
        bare.push(await carry(load, chain, direction, duration));
        for (const [i, relay] of relays.entries()) {
          relayed[i]?.carried.push(await carry(load, relay, direction, duration));
        }
      }
      for (const { scheme, carried } of relayed) yield compare(direction, scheme, carried, bare);
    }
  },
};

function compare(
  direction: Direction,
  scheme: Scheme,
  relayed: readonly Carried[],
  bare: readonly Carried[],
): Figure {
  const processing = medians(relayed.map(({ cpu }) => cpu));
  const bareProcessing = medians(bare.map(({ cpu }) => cpu));
  const ratios = relayed.map(({ speed }, round) => speed / (bare[round]?.speed ?? Number.NaN));
  return {
    what: `${direction} over ${scheme}`,
    unit: 'MiB/s',
    subject: median(relayed.map(({ speed }) => speed)),
    yardstick: median(bare.map(({ speed }) => speed)),
    compared: { ...spread(ratios), unit: '×' },
    targets: TARGETS[scheme],
    details: {
      'processor time, µs/MiB': processing,
      'of the yardstick': bareProcessing,
      'yardstick by subject': {
        'processor time': total(Object.values(bareProcessing)) / total(Object.values(processing)),
      },
    },
  };
}
