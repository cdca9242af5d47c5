import { readFileSync } from 'node:fs';

/**
 * What everything that a laboratory makes outside of its namespaces is named after: its owner's process id and start, in
 * clock ticks since boot, so that a process id used again is not taken for the owner.
 */
const PREFIX = /^underpass-lab-(\d+)-(\d+)-/;

let laboratories = 0;

/** A prefix that no other laboratory on this machine has. */
export function newPrefix(): string {
  laboratories += 1;
  return `underpass-lab-${process.pid}-${startOf(process.pid) ?? 0}-${laboratories}-`;
}

/** Whether a laboratory made it whose owner is no longer there. */
export function isAbandoned(name: string): boolean {
  const [, pid, start] = PREFIX.exec(name) ?? [];
  return pid !== undefined && startOf(Number(pid)) !== start;
}

/** proc(5), /proc/pid/stat, field 22; undefined where there is no such process, or only a zombie of it. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the program's name, in parentheses, and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
