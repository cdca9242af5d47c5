import { setTimeout as delay } from 'node:timers/promises';
import { bytesOf, flowing, received, SETTLE, WARM_UP, warmUp } from '../load/carry.ts';
import type { Transfer } from '../load/client.ts';
import type { Beaten, DatagramsHandlers } from '../load/datagrams.ts';
import { type Load, startLoad } from '../load/load.ts';
import { startDirect } from '../processes/direct.ts';
import { SCHEMES, startRelay } from '../processes/relay.ts';
import type { Worker } from '../processes/rpc.ts';
import type { Tunnel } from '../processes/tunnel.ts';
import { atMost, type Figure, type Target } from '../report/figure.ts';
import { median, quantile, spread, total } from '../report/statistics.ts';
import { startUdpPipes } from '../yardsticks/udp-pipes.ts';
import type { Measurement } from './measurement.ts';

const HZ = 64;
const SIZE = 64;
/** The two players take turns, in milliseconds: neither is to wake the processor for the other. */
const HALF_A_BEAT = 1000 / HZ / 2;
const MIB = 1024 * 1024;
const MOST_EXCESS_DIRECT = 1;
const MOST_EXCESS_RELAYED = 2;
/** Of all rounds together, in milliseconds. */
const DURATION = 30_000;
const ROUNDS = 3;

export const play: Measurement = {
  title:
    'a game, 64 bytes there and back 64 times a second by UDP, beside a download through the same link; and by bare proxies beside the same',

  async *run(stage, quick) {
    const load = await startLoad(stage);
    const [player, other, game] = [1, 2, 3].map(() => stage.worker<DatagramsHandlers>('load/datagrams'));
    if (player === undefined || other === undefined || game === undefined) throw new Error('unreachable');
    await player.call('open', {});
    await other.call('open', {});
    // One number for both: a tunnel offers them as one port.
    await game.call('open', { port: load.port, echo: true });
    await other.call('aim', await startUdpPipes(stage, load.port));
    const arena = { load, player, other };

    const service = `${load.port}/tcp+udp` as const;
    const direct = await startDirect(stage, service);
    const relays = await Promise.all(SCHEMES.map((scheme) => startRelay(stage, scheme, service)));
    const links = [direct, ...relays];
    await warmUp(load, links);

    const [rounds, duration] = quick ? [2, DURATION / 6] : [ROUNDS, DURATION / ROUNDS];
    const targets = links.map((_, i) => [atMost(i === 0 ? MOST_EXCESS_DIRECT : MOST_EXCESS_RELAYED)]);
    yield* await compare(arena, links, { bulk: 'paced down', rounds, duration }, targets);
    yield* await compare(arena, links, { bulk: 'down', rounds, duration: duration / 2 }, []);
  },
};

interface Arena {
  readonly load: Load;
  /** Plays through the link. */
  readonly player: Worker<DatagramsHandlers>;
  /** Plays through bare proxies, at the same time. */
  readonly other: Worker<DatagramsHandlers>;
}

interface Plan {
  /** What is downloaded meanwhile. */
  readonly bulk: Transfer['mode'];
  readonly rounds: number;
  /** Of each round and link, in milliseconds. */
  readonly duration: number;
}

/** One round on one link: what came back through it, and through the bare proxies. */
interface Game {
  readonly ours: Beaten;
  readonly bare: Beaten;
  /** What the download reached meanwhile, in MiB per second. */
  readonly speed: number;
}

/** Alternates between the links, round by round. */
async function compare(
  arena: Arena,
  links: readonly Tunnel[],
  { bulk, rounds, duration }: Plan,
  targets: readonly (readonly Target[])[],
): Promise<Figure[]> {
  const games = links.map((): Game[] => []);
  // The first round only shows the compiler what is usual.
  for (let round = -1; round < rounds; round++) {
    for (const [i, link] of links.entries()) {
      const game = await playOn(arena, link, bulk, duration);
      if (round >= 0) games[i]?.push(game);
    }
  }
  const beside = bulk === 'down' ? 'saturated' : '20 MiB/s';
  return links.map(({ name }, i) => figure(`${name}, ${beside}`, games[i] ?? [], targets[i] ?? []));
}

async function playOn(
  { load, player, other }: Arena,
  link: Tunnel,
  bulk: Plan['bulk'],
  duration: number,
): Promise<Game> {
  const before = await received(load);
  const transfer = await load.client.call('start', { port: link.port, mode: bulk });
  await flowing(load, link, before);
  await player.call('aim', link.udpPort);
  await delay(WARM_UP);
  const [from, began] = [bytesOf(await received(load)), performance.now()];
  const beat = { hz: HZ, duration, size: SIZE };
  const playing = player.call('beat', beat);
  await delay(HALF_A_BEAT);
  const [ours, bare] = await Promise.all([playing, other.call('beat', beat)]);
  const [to, ended] = [bytesOf(await received(load)), performance.now()];
  await load.client.call('stop', transfer);
  await delay(SETTLE);
  if (ours.times.length === 0) throw new Error(`no datagram came back through ${link.name}`);
  return { ours, bare, speed: (to - from) / MIB / ((ended - began) / 1000) };
}

function figure(what: string, games: readonly Game[], targets: readonly Target[]): Figure {
  const p99 = (beaten: readonly Beaten[]) =>
    quantile(
      beaten.flatMap(({ times }) => times),
      0.99,
    );
  const [ours, bare] = [games.map((game) => game.ours), games.map((game) => game.bare)];
  return {
    what,
    unit: 'ms p99',
    subject: p99(ours),
    yardstick: p99(bare),
    compared: { ...spread(games.map((game) => p99([game.ours]) - p99([game.bare]))), unit: 'ms more' },
    targets,
    details: {
      subject: about(ours),
      yardstick: about(bare),
      download: { 'MiB/s': median(games.map(({ speed }) => speed)) },
    },
  };
}

function about(beaten: readonly Beaten[]): Record<string, number> {
  const times = beaten.flatMap((one) => one.times);
  const lost = total(beaten.map((one) => one.lost));
  return {
    'median, ms': median(times),
    'most, ms': Math.max(...times),
    'lost, %': (100 * lost) / (lost + times.length),
  };
}
