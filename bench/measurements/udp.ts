import { type Delivery, UdpLoad, type Way } from '../load/udp-load.ts';
import { startDirect } from '../processes/direct.ts';
import type { Path } from '../processes/path.ts';
import { atLeast, atMost, type Figure } from '../report/figure.ts';
import { median, medians, spread, total } from '../report/statistics.ts';
import { startQuicPair } from '../yardsticks/quic-pair.ts';
import type { Measurement } from './measurement.ts';

const LEAST_RATE = 0.85;
const MOST_LOST_PERCENT = 0.1;

/** Where the search for the highest rate begins, and how it goes on: in datagrams per second. */
const FIRST_RATE = 4000;
const STEP = 1.4;
const HIGHEST_RATE = 500_000;
/** What is offered in each round, beside the highest rate that was found: more than is delivered may cost what is. */
const AROUND = [0.85, 1, 1.2, 1.45];

export const udp: Measurement = {
  title:
    'datagrams of 1,000 bytes, directly, beside a bare pair of QUIC proxies: highest rate; loss at half of it',

  async *run(stage, quick) {
    const length = quick ? { rounds: 2, duration: 500 } : { rounds: 5, duration: 1000 };
    const [load, servicePort] = await UdpLoad.start(stage);
    const pair = await startQuicPair(stage, servicePort, 'quic-udp-proxy');
    const tunnel = await startDirect(stage, `${servicePort}/udp`);
    for (const way of ['up', 'down'] as const) {
      yield* await compare(load, [tunnel, pair], way, length);
    }
  },
};

interface Length {
  readonly rounds: number;
  /** Of each offer, in milliseconds. */
  readonly duration: number;
}

/** The first path is the subject, the second the yardstick. */
async function compare(
  load: UdpLoad,
  paths: readonly [Path, Path],
  way: Way,
  { rounds, duration }: Length,
): Promise<Figure[]> {
  const about: number[] = [];
  for (const path of paths) about.push(await search(load, path, way, duration));
  const highest = paths.map((): Delivery[] => []);
  const atHalf = paths.map((): Delivery[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, path] of paths.entries()) {
      await load.turnTo(path);
      const delivered: Delivery[] = [];
      for (const factor of AROUND) {
        delivered.push(await load.deliver({ way, rate: (about[i] ?? 0) * factor, duration }));
      }
      const best = delivered.reduce((one, other) => (other.rate > one.rate ? other : one));
      highest[i]?.push(best);
      atHalf[i]?.push(await load.deliver({ way, rate: best.rate / 2, duration: 3 * duration }));
    }
  }
  const [ours = [], bare = []] = highest;
  const [lost = [], lostByBare = []] = atHalf.map((deliveries) => deliveries.map(lostPercent));
  const processing = medians(ours.map(({ cpu }) => cpu));
  const bareProcessing = medians(bare.map(({ cpu }) => cpu));
  // The service is what players reach; the way back is for information.
  const targets = way === 'up' ? { rate: [atLeast(LEAST_RATE)], loss: [atMost(MOST_LOST_PERCENT)] } : none;
  return [
    {
      what: `${way}: highest rate`,
      unit: 'datagrams/s',
      subject: median(ours.map(({ rate }) => rate)),
      yardstick: median(bare.map(({ rate }) => rate)),
      compared: { ...spread(ours.map(({ rate }, i) => rate / (bare[i]?.rate ?? Number.NaN))), unit: '×' },
      targets: targets.rate,
      details: {
        'processor time, µs/datagram': processing,
        'of the yardstick': bareProcessing,
        'yardstick by subject': {
          'processor time': total(Object.values(bareProcessing)) / total(Object.values(processing)),
        },
      },
    },
    {
      what: `${way}: lost at half of it`,
      unit: '%',
      subject: overall(atHalf[0]),
      yardstick: overall(atHalf[1]),
      targets: targets.loss,
      details: {
        'by round, %': Object.fromEntries(lost.map((percent, i) => [i + 1, percent])),
        'of the yardstick': Object.fromEntries(lostByBare.map((percent, i) => [i + 1, percent])),
      },
    },
  ];
}

const none = { rate: [], loss: [] };

/** Offers more and more until twice in a row no more is delivered: the highest rate, roughly. It warms everything up, too. */
async function search(load: UdpLoad, path: Path, way: Way, duration: number): Promise<number> {
  await load.turnTo(path);
  let highest = 0;
  for (let rate = FIRST_RATE, inVain = 0; inVain < 2 && rate < HIGHEST_RATE; rate *= STEP) {
    const delivered = (await load.deliver({ way, rate, duration })).rate;
    inVain = delivered > highest * 1.05 ? 0 : inVain + 1;
    highest = Math.max(highest, delivered);
  }
  return highest;
}

const lostPercent = ({ sent, arrived }: Pick<Delivery, 'sent' | 'arrived'>) => 100 * (1 - arrived / sent);

function overall(deliveries: readonly Delivery[] = []): number {
  const sent = total(deliveries.map((one) => one.sent));
  return lostPercent({ sent, arrived: total(deliveries.map(({ arrived }) => arrived)) });
}
