import { setTimeout as delay } from 'node:timers/promises';
import { carry, warmUp } from '../load/carry.ts';
import { type Load, startLoad } from '../load/load.ts';
import { READ_BEFORE_STALL } from '../load/mode.ts';
import type { Memory } from '../processes/memory.ts';
import type { Path } from '../processes/path.ts';
import { type Relay, SCHEMES, startRelay } from '../processes/relay.ts';
import { atLeast, atMost, type Figure } from '../report/figure.ts';
import { median, medians, spread } from '../report/statistics.ts';
import { startChain } from '../yardsticks/chain.ts';
import type { Measurement } from './measurement.ts';

/** A tunnel with a connection whose reader has stopped, and others that go the same way. */
interface Case {
  readonly direction: 'down' | 'up';
  readonly relay: Relay;
}

const MIB = 1024 * 1024;
const STALLED_FOR = 30_000;
/** Short, so that all rounds of all cases fit into the time that the reader is stalled. */
const DURATION = 700;
const MOST_HELD = 64;
const LEAST_KEPT = 0.8;

export const stalled: Measurement = {
  title: 'a reader that stops while its writer offers 1 GiB: memory after 30 s, and speed of the others',

  async *run(stage, quick) {
    const rounds = quick ? 2 : 3;
    const load = await startLoad(stage);
    const chain = await startChain(stage, load.port);
    const cases: Case[] = [];
    for (const scheme of quick ? SCHEMES.slice(0, 1) : SCHEMES) {
      for (const direction of ['down', 'up'] as const) {
        cases.push({ direction, relay: await startRelay(stage, scheme, load.port) });
      }
    }

    const relays = cases.map(({ relay }) => relay);
    await warmUp(load, [chain, ...relays]);
    const before = await memories(cases);
    // Again, because after a forced collection V8 collects far more often for a while, and everything is slow.
    await warmUp(load, relays);
    const alone = await speeds(load, chain, cases, rounds);
    await warmUp(load, [chain, ...cases.map(({ relay }) => relay)]);
    for (const one of cases) await stall(load, one);
    const deadline = delay(quick ? STALLED_FOR / 3 : STALLED_FOR);
    const beside = await speeds(load, chain, cases, rounds);
    await deadline;
    const after = await memories(cases);

    for (const [i, one] of cases.entries()) {
      yield memoryFigure(one, before[i] ?? [], after[i] ?? []);
      yield speedFigure(one, alone[i] ?? [], beside[i] ?? []);
    }
  },
};

/** Starts a transfer that its reader leaves, and waits until nothing moves any more. */
async function stall(load: Load, { direction, relay }: Case): Promise<void> {
  const reader = direction === 'down' ? load.client : load.service;
  const before = await reader.call('received');
  await load.client.call('start', { port: relay.port, mode: `stalled ${direction}` });
  let moved = 0;
  for (let last = -1; moved < READ_BEFORE_STALL || moved > last; ) {
    last = moved;
    await delay(500);
    moved = (await reader.call('received')).bytes - before.bytes;
    if (moved === last && moved < READ_BEFORE_STALL)
      throw new Error(`${relay.name} stopped before its reader`);
  }
}

/** One round of one case. */
interface Speed {
  /** Beside the chain's in the same round: so it can be compared with that of another time. */
  readonly ratio: number;
  readonly cpu: ReadonlyMap<string, number>;
}

/** Rounds by case. */
async function speeds(load: Load, chain: Path, cases: readonly Case[], rounds: number): Promise<Speed[][]> {
  const results = cases.map((): Speed[] => []);
  for (let round = 0; round < rounds; round++) {
    const bare = await carry(load, chain, 'down', DURATION);
    for (const [i, { direction, relay }] of cases.entries()) {
      const { speed, cpu } = await carry(load, relay, direction, DURATION);
      results[i]?.push({ ratio: speed / bare.speed, cpu });
    }
  }
  return results;
}

type Role = keyof Relay['programs'];
type Memories = readonly (readonly [Role, Memory])[];

function memories(cases: readonly Case[]): Promise<Memories[]> {
  const ofPrograms = ({ relay }: Case) =>
    Object.entries(relay.programs).map(
      async ([role, { probe }]) => [role as Role, await probe.call('memory')] as const,
    );
  return Promise.all(cases.map((one) => Promise.all(ofPrograms(one))));
}

function memoryFigure({ direction, relay }: Case, before: Memories, after: Memories): Figure {
  const growth = (of: keyof Memory) =>
    after.map(([role, memory], i) => [role, (memory[of] - (before[i]?.[1][of] ?? 0)) / MIB] as const);
  const held = growth('held');
  return {
    what: `${direction} ${relay.name}: held`,
    unit: 'MiB over the warm baseline',
    subject: Math.max(...held.map(([, mib]) => mib)),
    targets: [atMost(MOST_HELD)],
    details: {
      'heap and external, MiB': Object.fromEntries(held),
      'resident, MiB': Object.fromEntries(growth('rss')),
    },
  };
}

function speedFigure(one: Case, alone: readonly Speed[], beside: readonly Speed[]): Figure {
  const usual = median(alone.map(({ ratio }) => ratio));
  return {
    what: `${one.direction} ${one.relay.name}: others`,
    unit: 'of the bare speed',
    subject: median(beside.map(({ ratio }) => ratio)),
    yardstick: usual,
    compared: { ...spread(beside.map(({ ratio }) => ratio / usual)), unit: '×' },
    targets: [atLeast(LEAST_KEPT)],
    details: {
      'processor time, µs/MiB': medians(beside.map(({ cpu }) => cpu)),
      'of the yardstick': medians(alone.map(({ cpu }) => cpu)),
    },
  };
}
