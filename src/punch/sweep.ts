import { isPort } from './bracket.ts';

/** Ports of the swept NAT's future that the other side waits for: so far ahead, and so far apart, in steps. */
const AHEAD = 60;
const APART = 14;
const TARGETS = 3;

/** Mappings that the other side makes towards them, in turn. */
export const ARMED = 8;

/** After the last target was due: a counter may have been slower than it looked. */
const BEYOND = 8;

/** Probes of a try, an allocation each. */
export const MAX_SWEEP = 100;

/** One probe of a sweep. */
export interface SweepShot {
  readonly port: number;
  /** Which socket: no two shots are the same socket and port, so that each gets a mapping of its own. */
  readonly socket: number;
}

/** The ports that a NAT which counts by `step` will give when it has given so many others after `last`. */
export function sweepTargets(last: number, step: number): number[] {
  return Array.from({ length: TARGETS }, (_, i) => last + (AHEAD + i * APART) * step).filter(isPort);
}

/** The likeliest ports of the mappings made in a row between two known ones: exact if nothing else took any. */
export function armedPorts(before: number, after: number, step: number): number[] {
  const steps = (after - before) / step;
  const place = (i: number) => Math.round((steps * (i + 1)) / (ARMED + 1));
  const ports = Array.from({ length: ARMED }, (_, i) => before + place(i) * step);
  // Where the counter came to its end in between, nothing is known.
  return steps > ARMED ? ports.filter(isPort) : [];
}

/**
 * What to send, a new mapping each, so that a counter that stands at `last` goes through the targets while the mappings that wait
 * for them are being probed. `armed[i]` waits for `targets[i modulo their number]`.
 */
export function sweepShots(
  last: number,
  step: number,
  targets: readonly number[],
  armed: readonly number[],
): SweepShot[] {
  const dueAt = targets.map((target) => (target - last) / step);
  const count = Math.min(MAX_SWEEP, Math.max(...dueAt) + BEYOND);
  const used = new Map<number, number>();
  const shots: SweepShot[] = [];
  for (let turn = 1; turn <= count; turn++) {
    const nearest = indexOfSmallest(dueAt.map((due) => Math.abs(due - turn)));
    const waiting = armed.filter((_, i) => i % targets.length === nearest);
    const port = waiting[turn % waiting.length];
    if (port === undefined) return shots;
    const socket = used.get(port) ?? 0;
    used.set(port, socket + 1);
    shots.push({ port, socket });
  }
  return shots;
}

function indexOfSmallest(values: readonly number[]): number {
  return values.indexOf(Math.min(...values));
}
