import type { Allocation } from './behaviour.ts';

/** Fewer new mappings say nothing about how they are chosen. */
const FEWEST = 3;

/** Ports this close together come out of one block. */
const BLOCK_SPREAD = 2048;

/** Differences beyond this, or beyond so many steps, are chance and no counting. */
const LONGEST_GAP = 64;
const MOST_STEPS = 16;

const LOWEST_PORT = 1024;
const HIGHEST_PORT = 65_535;

/** How a NAT whose mappings depend on the destination chooses ports, from those of new mappings in the order of their making. */
export function allocationOf(ports: readonly number[]): Allocation | null {
  if (ports.length < FEWEST) return null;
  const step = stepOf(ports);
  if (step !== undefined) return { pattern: 'sequential', step, range: null };
  const range = rangeOf(ports);
  const spread = Math.max(...ports) - Math.min(...ports);
  return { pattern: spread < BLOCK_SPREAD ? 'block' : 'random', step: null, range };
}

/**
 * The step of a counter, signed, or undefined where nothing counts. Another host may have taken ports in between, and a counter
 * may skip some: the step is what divides all differences. It may also have come to its end once and begun again.
 */
function stepOf(ports: readonly number[]): number | undefined {
  const gaps = ports.slice(1).map((port, i) => port - (ports[i] ?? port));
  const rising = gaps.filter((gap) => gap > 0).length;
  const direction = rising * 2 >= gaps.length ? 1 : -1;
  const along = gaps.map((gap) => gap * direction);
  const steps = along.filter((gap) => gap > 0);
  const wraps = along.length - steps.length;
  // So few random ports are often in order if one of them may be out of it.
  if (wraps > (ports.length > 4 ? 1 : 0) || steps.length === 0) return undefined;
  const step = steps.reduce(greatestCommonDivisor);
  if (Math.max(...steps) > Math.max(LONGEST_GAP, MOST_STEPS * step)) return undefined;
  return step * direction;
}

/** Of n values out of R in a row, the spread is about R (n - 1) / (n + 1); the unseen rest is on both sides alike. */
function rangeOf(ports: readonly number[]): [number, number] {
  const [low, high] = [Math.min(...ports), Math.max(...ports)];
  const unseen = ((high - low) * 2) / (ports.length - 1);
  const first = Math.round(low - unseen / 2);
  const last = Math.round(high + unseen / 2);
  return [Math.max(first, Math.min(low, LOWEST_PORT)), Math.min(last, HIGHEST_PORT)];
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
