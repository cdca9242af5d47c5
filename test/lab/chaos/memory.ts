import { readFileSync } from 'node:fs';
import { median } from '../matrix/statistics.ts';

/** One look at a program's resident memory. */
export interface Sample {
  /** Milliseconds since the traffic began. */
  readonly at: number;
  readonly program: string;
  /** Bytes. */
  readonly resident: number;
}

/** VmRSS, proc(5), in bytes; undefined when there is no such process any more. */
export function residentMemory(pid: number): number | undefined {
  try {
    const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined;
  }
}

/** Of each minute, from the first, the median of a program's samples in it; undefined where there are none. */
export function minutesOf(samples: readonly Sample[], program: string): (number | undefined)[] {
  const minutes: number[][] = [];
  for (const sample of samples.filter((each) => each.program === program)) {
    const minute = Math.floor(sample.at / 60_000);
    minutes[minute] = [...(minutes[minute] ?? []), sample.resident];
  }
  return Array.from(minutes, (values) => (values && median(values)) ?? undefined);
}
