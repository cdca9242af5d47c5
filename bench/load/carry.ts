import { setTimeout as delay } from 'node:timers/promises';
import { cpuTime } from '../processes/cpu.ts';
import type { Path } from '../processes/path.ts';
import { total } from '../report/statistics.ts';
import type { Load } from './load.ts';

export type Direction = 'down' | 'up' | 'both';

export interface Carried {
  /** MiB per second; both directions together where there are two. */
  readonly speed: number;
  /** Processor time by role, microseconds per MiB. */
  readonly cpu: ReadonlyMap<string, number>;
}

const MIB = 1024 * 1024;
/** Until the windows of a connection have grown. */
const WARM_UP = 500;
/** Until what was on the way when the connection was reset is gone, so that the next one has the machine to itself. */
const SETTLE = 200;

/** One connection through a path, for `duration` milliseconds after it has warmed up. */
export async function carry(
  load: Load,
  path: Path,
  direction: Direction,
  duration: number,
): Promise<Carried> {
  const transfer = await load.client.call('start', { port: path.port, mode: direction });
  await delay(WARM_UP);
  const carried = await observe(load, path, duration);
  await load.client.call('stop', transfer);
  await delay(SETTLE);
  return carried;
}

const SLICE = 1000;
const FEWEST_SLICES = 3;
const MOST_SLICES = 10;

/** Before anything is measured: bytes both ways, until they cost no less than before. The first seconds are the compiler's. */
export async function warmUp(load: Load, paths: readonly Path[]): Promise<void> {
  for (const path of paths) {
    const transfer = await load.client.call('start', { port: path.port, mode: 'both' });
    let lowest = Number.POSITIVE_INFINITY;
    for (let slice = 1; slice <= MOST_SLICES; slice++) {
      const { cpu } = await observe(load, path, SLICE);
      const cost = total(cpu.values());
      if (slice >= FEWEST_SLICES && cost > 0.9 * lowest) break;
      lowest = Math.min(lowest, cost);
    }
    await load.client.call('stop', transfer);
    await delay(SETTLE);
  }
}

/** What comes through while `duration` milliseconds pass, by the clocks of those who receive it. */
async function observe(load: Load, { name, participants }: Path, duration: number): Promise<Carried> {
  const everybody = [...participants, ...load.participants];
  const look = async () => ({
    cpu: everybody.map(({ pid }) => cpuTime(pid)),
    received: await Promise.all([load.client.call('received'), load.service.call('received')]),
  });
  const before = await look();
  await delay(duration);
  const after = await look();

  const received = after.received.map(({ bytes, at }, i) => {
    const earlier = before.received[i] ?? { bytes: 0, at: 0 };
    return { mib: (bytes - earlier.bytes) / MIB, seconds: (at - earlier.at) / 1000 };
  });
  const mib = total(received.map((one) => one.mib));
  if (mib === 0) throw new Error(`nothing came through ${name}`);
  const spent = (i: number) => (after.cpu[i] ?? Number.NaN) - (before.cpu[i] ?? Number.NaN);
  return {
    speed: total(received.map((one) => one.mib / one.seconds)),
    cpu: new Map(everybody.map(({ role }, i) => [role, spent(i) / mib])),
  };
}
