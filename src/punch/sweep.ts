import { isPort } from './bracket.ts';

/** Ports of the swept NAT's future that the other side waits for: so many mappings ahead, and so many apart. */
const AHEAD = 32;
const APART = 8;
export const TARGETS = 8;

/** After the last target was due: a counter may have been slower than it looked. */
const BEYOND = 8;

/** New mappings of a try. */
export const MAX_SWEEP = 100;

interface Sample {
  /** How many mappings were made before it. */
  readonly turn: number;
  readonly port: number;
}

/**
 * Where the counter of a NAT stands, told from the ports of some of the mappings that were made in turn. It may skip ports: then it
 * goes faster than its step.
 */
export class Counter {
  /** Signed. */
  readonly step: number;
  /** From one mapping to the next on average, in ports. */
  #pace: number;
  #first: Sample | undefined;
  #last: Sample | undefined;

  constructor(step: number, pace = step) {
    this.step = step;
    this.#pace = pace;
  }

  learn(turn: number, port: number): void {
    if (this.#last && turn < this.#last.turn) return;
    this.#first ??= { turn, port };
    this.#last = { turn, port };
    const pace = (port - this.#first.port) / (turn - this.#first.turn);
    // It does not turn round: it has come to its end in between, and begun anew.
    if (pace / this.step >= 1) this.#pace = pace;
  }

  /** The port of the mapping made in this turn, more or less; undefined as long as nothing is known. */
  portAt(turn: number): number | undefined {
    return this.#last && this.#last.port + this.#distance(turn - this.#last.turn);
  }

  /** The same counter later, when others have made mappings, too. */
  later(): Counter {
    return new Counter(this.step, this.#pace);
  }

  /** Ports that it may give when it has made some more mappings after this turn. */
  targetsAfter(turn: number): number[] {
    const last = this.portAt(turn);
    if (last === undefined) return [];
    return Array.from({ length: TARGETS }, (_, i) => last + this.#distance(AHEAD + i * APART)).filter(isPort);
  }

  /** How far it gets with so many mappings: a number of steps. */
  #distance(mappings: number): number {
    return Math.round((mappings * this.#pace) / this.step) * this.step;
  }
}

/**
 * Which target a mapping with about this port is meant for: the nearest, as many are far behind or ahead. Undefined where it has left
 * them all behind.
 */
export function targetFor(port: number, targets: readonly number[], step: number): number | undefined {
  const ahead = targets.map((target) => (target - port) / step);
  if (Math.max(...ahead) < -BEYOND) return undefined;
  const distances = ahead.map(Math.abs);
  return distances.indexOf(Math.min(...distances));
}

/**
 * The likeliest ports of mappings that were made each between two whose ports are `known`, if they could be measured: the next to the
 * one before. Empty where nothing is known.
 */
export function armedPorts(known: readonly (number | undefined)[], step: number): number[] {
  const ports = known.slice(1).map((after, i) => {
    const before = known[i];
    const port = before === undefined ? after && after - step : before + step;
    return port && isPort(port) ? port : undefined;
  });
  const any = ports.find((port) => port !== undefined);
  // Each has its place: where none is known, another one is as good as any.
  return any === undefined ? [] : ports.map((port) => port ?? any);
}
