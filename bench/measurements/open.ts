import { type Load, startLoad } from '../load/load.ts';
import type { Path } from '../processes/path.ts';
import { SCHEMES, startRelay } from '../processes/relay.ts';
import { atMost, type Figure } from '../report/figure.ts';
import { median, spread } from '../report/statistics.ts';
import { startChain } from '../yardsticks/chain.ts';
import { compareLatency } from './latency.ts';
import type { Measurement } from './measurement.ts';

const MOST_EXCESS = 1;
const AT_ONCE = 1000;

export const open: Measurement = {
  title: 'a connection through a link that is up, until one byte has come back; then 1,000 at once',

  async *run(stage, quick) {
    const load = await startLoad(stage);
    const chain = await startChain(stage, load.port);
    const relays = await Promise.all(SCHEMES.map((scheme) => startRelay(stage, scheme, load.port)));
    const plan = { what: 'openings', rounds: quick ? 3 : 7, count: quick ? 100 : 300 } as const;
    yield* await compareLatency(load, chain, relays, plan, atMost(MOST_EXCESS));

    for (const relay of relays) yield await compareBursts(load, chain, relay, quick ? 1 : 3);
  },
};

async function compareBursts(load: Load, chain: Path, relay: Path, rounds: number): Promise<Figure> {
  const bare: number[] = [];
  const relayed: number[] = [];
  // The first round only warms everything up.
  for (let round = -1; round < rounds; round++) {
    const yardstick = await load.client.call('burst', { port: chain.port, count: AT_ONCE });
    const subject = await load.client.call('burst', { port: relay.port, count: AT_ONCE });
    if (round < 0) continue;
    bare.push(yardstick);
    relayed.push(subject);
  }
  return {
    what: `${AT_ONCE} at once ${relay.name}`,
    unit: 'ms until all were served',
    subject: median(relayed),
    yardstick: median(bare),
    compared: { ...spread(relayed.map((took, round) => took / (bare[round] ?? Number.NaN))), unit: '×' },
    targets: [],
  };
}
