import { type Direction, warmUp } from '../load/carry.ts';
import { startLoad } from '../load/load.ts';
import { startDirect } from '../processes/direct.ts';
import { atLeast, atMost } from '../report/figure.ts';
import { startDht } from '../yardsticks/dht.ts';
import { startQuicPair } from '../yardsticks/quic-pair.ts';
import { startUdpEcho } from '../yardsticks/udp-echo.ts';
import { compareLatency } from './latency.ts';
import type { Measurement } from './measurement.ts';
import { carryInTurn, compareSpeed } from './speed.ts';

const LEAST_SPEED = 0.85;
const MOST_EXCESS = 0.2;

const CASES: readonly { readonly direction: Direction; readonly connections: number }[] = [
  { direction: 'down', connections: 1 },
  { direction: 'up', connections: 1 },
  { direction: 'down', connections: 16 },
];

export const direct: Measurement = {
  title: 'a direct path, beside a bare pair of QUIC proxies and beside hyperdht; round trips beside bare UDP',

  async *run(stage, quick) {
    const length = quick ? { rounds: 2, duration: 1000 } : { rounds: 5, duration: 1600 };
    const load = await startLoad(stage);
    const pair = await startQuicPair(stage, load.port);
    const dht = await startDht(stage, load.port);
    const tunnel = await startDirect(stage, load.port);

    await warmUp(load, [pair, dht, tunnel]);
    for (const { direction, connections } of CASES) {
      const plan = { direction, connections, ...length };
      const [bare = [], others = [], ours = []] = await carryInTurn(load, [pair, dht, tunnel], plan);
      const what = `${direction}, ${connections === 1 ? 'one' : connections}`;
      yield compareSpeed(what, ours, bare, [atLeast(LEAST_SPEED)]);
      yield compareSpeed(`${what}: hyperdht`, others, bare, []);
    }

    const echo = await startUdpEcho(stage);
    const plan = { what: 'roundTrips', rounds: quick ? 3 : 7, count: quick ? 500 : 2000 } as const;
    const ways = [
      { name: 'echo', port: tunnel.port },
      { name: 'echo: QUIC proxies', port: pair.port },
    ];
    const yardstick = { ...echo, what: 'datagrams' } as const;
    const [excess, others] = await compareLatency(load, yardstick, ways, plan, atMost(MOST_EXCESS));
    if (excess !== undefined) yield excess;
    // What two processes and quiche cost by themselves.
    if (others !== undefined) yield { ...others, targets: [] };
  },
};
