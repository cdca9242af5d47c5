import { setTimeout as delay } from 'node:timers/promises';
import { bytesOf, flowing, received, SETTLE, WARM_UP } from '../load/carry.ts';
import type { Transfer } from '../load/client.ts';
import type { DatagramsHandlers } from '../load/datagrams.ts';
import { type Load, startLoad } from '../load/load.ts';
import { startDirect } from '../processes/direct.ts';
import { SCHEMES, startRelay } from '../processes/relay.ts';
import type { Worker } from '../processes/rpc.ts';
import { atMost, type Figure, type Target } from '../report/figure.ts';
import { median, quantile, spread, total } from '../report/statistics.ts';
import { type Link, startBareLink } from '../yardsticks/bare-link.ts';
import type { Measurement } from './measurement.ts';

const HZ = 64;
const SIZE = 64;
const MIB = 1024 * 1024;
const MOST_EXCESS_DIRECT = 1;
const MOST_EXCESS_RELAYED = 2;
/** Of all rounds together, in milliseconds. */
const DURATION = 30_000;
const ROUNDS = 3;

export const play: Measurement = {
  title: 'a game, 64 bytes there and back 64 times a second by UDP, beside a download through the same link',

  async *run(stage, quick) {
    const load = await startLoad(stage);
    const [player, game] = [1, 2].map(() => stage.worker<DatagramsHandlers>('load/datagrams'));
    if (player === undefined || game === undefined) throw new Error('unreachable');
    await player.call('open', {});
    // One number for both: a tunnel offers them as one port.
    await game.call('open', { port: load.port, echo: true });
    const arena = { load, player };

    const service = `${load.port}/tcp+udp` as const;
    const bare = await startBareLink(stage, load.port, load.port);
    const direct = await startDirect(stage, service);
    const relays = await Promise.all(SCHEMES.map((scheme) => startRelay(stage, scheme, service)));
    const subjects = [direct, ...relays];
    const links = [bare, ...subjects];

    const [rounds, duration] = quick ? [2, DURATION / 6] : [ROUNDS, DURATION / ROUNDS];
    const targets = subjects.map((_, i) => [atMost(i === 0 ? MOST_EXCESS_DIRECT : MOST_EXCESS_RELAYED)]);
    yield* await compare(arena, links, { bulk: 'paced down', rounds, duration }, targets);
    yield* await compare(arena, links, { bulk: 'down', rounds, duration: duration / 2 }, []);
  },
};

interface Arena {
  readonly load: Load;
  readonly player: Worker<DatagramsHandlers>;
}

interface Plan {
  /** What is downloaded meanwhile. */
  readonly bulk: Transfer['mode'];
  readonly rounds: number;
  /** Of each round and link, in milliseconds. */
  readonly duration: number;
}

/** One round on one link. */
interface Game {
  readonly times: readonly number[];
  readonly lost: number;
  /** What the download reached meanwhile, in MiB per second. */
  readonly speed: number;
}

/** Alternates between the links, round by round; the first of them is the yardstick. */
async function compare(
  arena: Arena,
  links: readonly Link[],
  { bulk, rounds, duration }: Plan,
  targets: readonly (readonly Target[])[],
): Promise<Figure[]> {
  const games = links.map((): Game[] => []);
  // The first round only warms everything up.
  for (let round = -1; round < rounds; round++) {
    for (const [i, link] of links.entries()) {
      const game = await playOn(arena, link, bulk, round < 0 ? Math.min(duration, 2000) : duration);
      if (round >= 0) games[i]?.push(game);
    }
  }
  const [bare = [], ...ours] = games;
  const beside = bulk === 'down' ? 'saturated' : '20 MiB/s';
  return ours.map((mine, i) => figure(`${links[i + 1]?.name}, ${beside}`, mine, bare, targets[i] ?? []));
}

async function playOn(
  { load, player }: Arena,
  link: Link,
  bulk: Plan['bulk'],
  duration: number,
): Promise<Game> {
  const before = await received(load);
  const transfer = await load.client.call('start', { port: link.port, mode: bulk });
  await flowing(load, link, before);
  await player.call('aim', link.udpPort);
  await delay(WARM_UP);
  const [from, began] = [bytesOf(await received(load)), performance.now()];
  const { times, lost } = await player.call('beat', { hz: HZ, duration, size: SIZE });
  const [to, ended] = [bytesOf(await received(load)), performance.now()];
  await load.client.call('stop', transfer);
  await delay(SETTLE);
  if (times.length === 0) throw new Error(`no datagram came back through ${link.name}`);
  return { times, lost, speed: (to - from) / MIB / ((ended - began) / 1000) };
}

function figure(
  what: string,
  ours: readonly Game[],
  bare: readonly Game[],
  targets: readonly Target[],
): Figure {
  const p99 = (times: readonly number[]) => quantile(times, 0.99);
  const excess = ours.map(({ times }, round) => p99(times) - p99(bare[round]?.times ?? []));
  const all = (games: readonly Game[]) => games.flatMap(({ times }) => times);
  const lostPercent = (games: readonly Game[]) => {
    const lost = total(games.map((game) => game.lost));
    return (100 * lost) / (lost + all(games).length);
  };
  const about = (games: readonly Game[]) => ({
    'median, ms': median(all(games)),
    'most, ms': Math.max(...all(games)),
    'lost, %': lostPercent(games),
    'download, MiB/s': median(games.map(({ speed }) => speed)),
  });
  return {
    what,
    unit: 'ms p99',
    subject: p99(all(ours)),
    yardstick: p99(all(bare)),
    compared: { ...spread(excess), unit: 'ms more' },
    targets,
    details: { subject: about(ours), yardstick: about(bare) },
  };
}
