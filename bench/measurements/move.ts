import { setTimeout as delay } from 'node:timers/promises';
import { Laboratory } from '../../test/lab/laboratory.ts';
import { SERVICE_PORT, told } from '../../test/lab/services/underpass.ts';
import { obstacle } from '../../test/lab/system/capability.ts';
import { SITE_NAMES } from '../../test/lab/topology/addresses.ts';
import type { Transfer } from '../load/client.ts';
import type { Gap } from '../load/gaps.ts';
import { type Load, startLoad } from '../load/load.ts';
import { joinLabTunnel, type LabTunnel, startLabTunnel } from '../processes/lab-tunnel.ts';
import { atMost, type Figure } from '../report/figure.ts';
import { printLine } from '../report/print.ts';
import { median, spread } from '../report/statistics.ts';
import type { Measurement } from './measurement.ts';

/** Between a site and the server, and between the sites, in milliseconds. By way of the server it is twice as far. */
const ONE_WAY = 20;
const ROUND_TRIP = 2 * ONE_WAY;
/** The queue holds what is under way to the server and back. */
const LINE = { ms: ONE_WAY, megabitsPerSecond: 100, queueMs: 2 * ROUND_TRIP };
const MOST_ROUND_TRIPS = 1;

/** Before a move, and after it, in milliseconds. */
const STEADY_FOR = 3000;
/**
 * A gap belongs to a move when it is about then: while the new path is being tried, or until all that was on the old one is
 * through. What a new connection then does to a line that it fills, it does without a move as well.
 */
const BEFORE = 500;
const AFTER = 500;
/** The first bytes of a transfer, whose windows have yet to grow. */
const BEGINNING = 1000;
const PATIENCE = 120_000;

const MODES: readonly Transfer['mode'][] = ['slow down', 'down'];

export const move: Measurement = {
  title: `a download whose path moves from the relay to a direct one, ${ROUND_TRIP} ms there and back: its longest pause`,

  async *run(stage, quick) {
    const problem = obstacle();
    if (problem !== undefined) {
      printLine(`  left out: ${problem}`);
      return;
    }
    const lab = await Laboratory.build({ seed: 1, a: { kind: 'open' }, b: { kind: 'open' }, delay: LINE });
    try {
      const load = await startLoad(stage, {
        client: lab.namespace('a'),
        service: lab.namespace('b'),
        at: { host: '0.0.0.0', port: SERVICE_PORT },
      });
      const tunnel = await startLabTunnel(lab, 'auto');
      for (const mode of MODES) {
        const what = mode === 'down' ? 'saturating' : '8 MiB/s';
        const count = quick ? 1 : 5;
        const found: Pauses[] = [];
        while (found.length < count) found.push(await fromRelay(lab, load, mode));
        yield figure(`${what}: to a path that was found`, found);
        const back: Pauses[] = [];
        while (back.length < count) back.push(await thereAndBack(lab, load, tunnel, mode));
        yield {
          ...figure(`${what}: to one that was silent for a while`, back),
          details: { 'to the relay, ms': spreadOf(back.map(({ toRelay }) => toRelay)) },
        };
      }
    } finally {
      // First, or the laboratory would end them.
      stage.close();
      await lab.close();
    }
  },
};

/** The longest gaps of one transfer, in milliseconds. */
interface Pauses {
  readonly toDirect: number;
  /** After the direct path went dead: it has to be noticed first. */
  readonly toRelay: number;
  readonly elsewhere: number;
}

/** One transfer of a new subscriber, which finds no path at first, and then one. */
async function fromRelay(lab: Laboratory, load: Load, mode: Transfer['mode']): Promise<Pauses> {
  await cut(lab);
  const tunnel = await joinLabTunnel(lab, 'auto');
  const began = Date.now();
  const transfer = await load.client.call('start', { port: tunnel.port, mode, watch: true });
  await delay(STEADY_FOR);
  const { directAt, gaps } = await toDirect(lab, load, tunnel, transfer);
  tunnel.subscriber.kill();
  return pausesOf(gaps, began, directAt);
}

/** One transfer, which begins on the direct path, is driven from it, and finds it again. */
async function thereAndBack(
  lab: Laboratory,
  load: Load,
  tunnel: LabTunnel,
  mode: Transfer['mode'],
): Promise<Pauses> {
  const began = Date.now();
  const transfer = await load.client.call('start', { port: tunnel.port, mode, watch: true });
  await delay(STEADY_FOR);
  const relayed = nextPath(tunnel, 'relayed');
  const cutAt = Date.now();
  await cut(lab);
  const relayedAt = await relayed;
  await delay(STEADY_FOR);
  const { directAt, gaps } = await toDirect(lab, load, tunnel, transfer);
  return pausesOf(gaps, began, directAt, [cutAt, relayedAt + AFTER]);
}

/** The direct path works again, and the transfer moves there and ends. */
async function toDirect(lab: Laboratory, load: Load, tunnel: LabTunnel, transfer: number) {
  const direct = nextPath(tunnel, 'direct');
  await mend(lab);
  const directAt = await direct;
  await delay(STEADY_FOR);
  const gaps = await load.client.call('gaps', transfer);
  await load.client.call('stop', transfer);
  return { directAt, gaps };
}

/** When the subscriber says so the next time: milliseconds since 1970. */
async function nextPath({ subscriber }: LabTunnel, kind: 'direct' | 'relayed'): Promise<number> {
  const before = told(subscriber, 'path').length;
  const find = () =>
    told(subscriber, 'path')
      .slice(before)
      .find((event) => event.kind === kind);
  return Date.parse((await subscriber.output(find, PATIENCE)).time);
}

/** @param loss when the direct path was lost, and until when gaps are due to that */
function pausesOf(
  gaps: readonly Gap[],
  began: number,
  directAt: number,
  loss: readonly [number, number] = [0, 0],
): Pauses {
  const isOf = ({ at, length }: Gap, [from, to]: readonly [number, number]) =>
    at >= from && at - length <= to;
  const move = [directAt - BEFORE, directAt + AFTER] as const;
  const longest = (which: (gap: Gap) => boolean) =>
    gaps.filter(which).reduce((most, { length }) => Math.max(most, length), 0);
  return {
    toDirect: longest((gap) => isOf(gap, move)),
    toRelay: longest((gap) => isOf(gap, loss)),
    elsewhere: longest((gap) => gap.at > began + BEGINNING && !isOf(gap, move) && !isOf(gap, loss)),
  };
}

/** No datagram comes from the other site any more; the server is reached as before. */
async function cut(lab: Laboratory): Promise<void> {
  for (const name of SITE_NAMES) {
    const other = SITE_NAMES.find((one) => one !== name) ?? name;
    const drop = `ip saddr ${lab.site(other).hostAddress} meta l4proto udp drop`;
    const table = `table ip cut { chain arriving { type filter hook input priority 0; ${drop}; }; }`;
    await lab.check(name, ['nft', '-f', '-'], table);
  }
}

async function mend(lab: Laboratory): Promise<void> {
  for (const name of SITE_NAMES) await lab.check(name, ['nft', '-f', '-'], 'delete table ip cut');
}

function figure(what: string, rounds: readonly Pauses[]): Figure {
  const pauses = rounds.map(({ toDirect }) => toDirect);
  return {
    what,
    unit: 'ms longest gap',
    subject: median(pauses),
    yardstick: median(rounds.map(({ elsewhere }) => elsewhere)),
    compared: { ...spread(pauses.map((pause) => pause / ROUND_TRIP)), unit: 'round trips' },
    targets: [atMost(MOST_ROUND_TRIPS)],
  };
}

function spreadOf(values: readonly number[]): Record<string, number> {
  return { ...spread(values) };
}
