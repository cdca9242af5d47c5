import { startLoad } from '../load/load.ts';
import { SCHEMES, startRelay } from '../processes/relay.ts';
import { atMost } from '../report/figure.ts';
import { startChain } from '../yardsticks/chain.ts';
import { compareLatency } from './latency.ts';
import type { Measurement } from './measurement.ts';

const MOST_EXCESS = 0.3;

export const echo: Measurement = {
  title: 'round trip of 64 bytes, one at a time, beside three bare proxies in a row',

  async *run(stage, quick) {
    const load = await startLoad(stage);
    const chain = await startChain(stage, load.port);
    const relays = await Promise.all(SCHEMES.map((scheme) => startRelay(stage, scheme, load.port)));
    const plan = { what: 'roundTrips', rounds: quick ? 3 : 7, count: quick ? 500 : 2000 } as const;
    yield* await compareLatency(load, chain, relays, plan, atMost(MOST_EXCESS));
  },
};
