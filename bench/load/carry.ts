import { setTimeout as delay } from 'node:timers/promises';
import { cpuTime } from '../processes/cpu.ts';
import type { Path } from '../processes/path.ts';
import { total } from '../report/statistics.ts';
import type { Place } from './echo.ts';
import type { Reading } from './flow.ts';
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
export const WARM_UP = 500;
/** Until its first byte. */
const PATIENCE = 20_000;
/** Until what was on the way when the connections were reset is gone, so that the next one has the machine to itself. */
export const SETTLE = 200;

/** Some connections through a path, for `duration` milliseconds after they have warmed up. */
export async function carry(
  load: Load,
  path: Path,
  direction: Direction,
  duration: number,
  connections = 1,
): Promise<Carried> {
  const before = await received(load);
  const transfers: number[] = [];
  while (transfers.length < connections) {
    transfers.push(await load.client.call('start', { ...placeOf(path), mode: direction }));
  }
  await flowing(load, path, before);
  await delay(WARM_UP);
  const carried = await observe(load, path, duration);
  for (const transfer of transfers) await load.client.call('stop', transfer);
  await delay(SETTLE);
  return carried;
}

function placeOf({ host = '127.0.0.1', port }: Path): Place {
  return { host, port };
}

/** Waits until something has come through: not every path is there as soon as it is asked for. */
export async function flowing(load: Load, { name }: Path, before: readonly Reading[]): Promise<void> {
  const deadline = performance.now() + PATIENCE;
  while (bytesOf(await received(load)) === bytesOf(before)) {
    if (performance.now() > deadline) throw new Error(`nothing came through ${name}`);
    await delay(10);
  }
}

/** What has arrived at the client and at the service. */
export function received(load: Load): Promise<Reading[]> {
  return Promise.all([load.client.call('received'), load.service.call('received')]);
}

export function bytesOf(readings: readonly Reading[]): number {
  return total(readings.map(({ bytes }) => bytes));
}

const SLICE = 1000;
const FEWEST_SLICES = 3;
const MOST_SLICES = 10;

/** Before anything is measured: bytes both ways, until they cost no less than before. The first seconds are the compiler's. */
export async function warmUp(load: Load, paths: readonly Path[]): Promise<void> {
  for (const path of paths) {
    const before = await received(load);
    const transfer = await load.client.call('start', { ...placeOf(path), mode: 'both' });
    await flowing(load, path, before);
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
    received: await received(load),
  });
  const before = await look();
  await delay(duration);
  const after = await look();

  const arrived = after.received.map(({ bytes, at }, i) => {
    const earlier = before.received[i] ?? { bytes: 0, at: 0 };
    return { mib: (bytes - earlier.bytes) / MIB, seconds: (at - earlier.at) / 1000 };
  });
  const mib = total(arrived.map((one) => one.mib));
  if (mib === 0) throw new Error(`nothing came through ${name}`);
  const spent = (i: number) => (after.cpu[i] ?? Number.NaN) - (before.cpu[i] ?? Number.NaN);
  return {
    speed: total(arrived.map((one) => one.mib / one.seconds)),
    cpu: new Map(everybody.map(({ role }, i) => [role, spent(i) / mib])),
  };
}
