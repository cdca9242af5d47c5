import type { Random } from '../../support/random.ts';

/** Where drawn ports lie: above what services use, below the top. */
const LOWEST = 10_000;
const HIGHEST = 64_000;

/** The ports that a counter walks through, and how. */
export interface Walk {
  readonly ports: readonly number[];
  /** Signed; jumps are this or a multiple of it. */
  readonly step: number;
  /** The largest multiple; 1 where every jump is the same. */
  readonly jitter: number;
}

/** A counter whose step, direction, place and length are drawn. With jitter, most jumps are one step and some up to three. */
export function drawWalk(random: Random, jittered: boolean): Walk {
  const jitter = jittered ? 3 : 1;
  const unit = 1 + random.integer(jittered ? 2 : 4);
  const length = 4096 + random.integer(4096);
  const distances = [0];
  while (distances.length < length) {
    const jump = jittered ? random.pick([1, 1, 1, 2, 3]) : 1;
    distances.push((distances.at(-1) ?? 0) + unit * jump);
  }
  const span = distances.at(-1) ?? 0;
  const lowest = LOWEST + random.integer(HIGHEST - LOWEST - span);
  const upwards = random.integer(2) === 0;
  const ports = distances.map((distance) => (upwards ? lowest + distance : lowest + span - distance));
  return { ports, step: upwards ? unit : -unit, jitter };
}

/** A block of ports whose size and place are drawn. */
export function drawBlock(random: Random): readonly [first: number, last: number] {
  const size = 128 + random.integer(897);
  const first = LOWEST + random.integer(HIGHEST - LOWEST - size);
  return [first, first + size - 1];
}

/**
 * A wide range for inner ports to be spread over, below those that clients are given by their systems: a port inside that is
 * in the range already would be preserved.
 */
export function drawWideRange(random: Random): readonly [first: number, last: number] {
  const first = 2000 + random.integer(4000);
  return [first, first + 9_999];
}

/** So many that two sockets seldom share one: the kernel drops a flow whose port is taken. */
export function drawHashedPorts(random: Random): readonly number[] {
  const first = LOWEST + random.integer(20_000);
  return Array.from({ length: 16_384 }, (_, index) => first + index);
}
