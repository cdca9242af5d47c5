import { readFileSync } from 'node:fs';

/** Linux counts processor time in these, whatever the kernel's own tick is. */
const MICROSECONDS_PER_TICK = 10_000;

/** Processor time of a process until now, user and system, in microseconds; NaN where there is no /proc. */
export function cpuTime(pid: number): number {
  if (process.platform !== 'linux') return Number.NaN;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name in parentheses, which may itself hold spaces and parentheses; utime is the 14th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MICROSECONDS_PER_TICK;
}
