import { type Direction, warmUp } from '../load/carry.ts';
import { startLoad } from '../load/load.ts';
import { SCHEMES, type Scheme, startRelay } from '../processes/relay.ts';
import { atLeast, type Target } from '../report/figure.ts';
import { startChain } from '../yardsticks/chain.ts';
import type { Measurement } from './measurement.ts';
import { carryInTurn, compareSpeed } from './speed.ts';

const DIRECTIONS: readonly Direction[] = ['down', 'up', 'both'];

const TARGETS: Readonly<Record<Scheme, readonly Target[]>> = {
  ws: [atLeast(0.4), atLeast(0.5, 'aim')],
  wss: [atLeast(0.2), atLeast(0.35, 'aim')],
};

export const throughput: Measurement = {
  title: 'relayed throughput of one connection, beside three bare proxies in a row',

  async *run(stage, quick) {
    const length = quick ? { rounds: 2, duration: 1000 } : { rounds: 5, duration: 1600 };
    const load = await startLoad(stage);
    const chain = await startChain(stage, load.port);
    const relays = await Promise.all(SCHEMES.map((scheme) => startRelay(stage, scheme, load.port)));

    await warmUp(load, [chain, ...relays]);
    for (const direction of DIRECTIONS) {
      const plan = { direction, connections: 1, ...length };
      const [bare = [], ...relayed] = await carryInTurn(load, [chain, ...relays], plan);
      for (const [i, { name, scheme }] of relays.entries()) {
        yield compareSpeed(`${direction} ${name}`, relayed[i] ?? [], bare, TARGETS[scheme]);
      }
    }
  },
};
