/** The standard normal distribution's quantile for 95 %, both sides. */
const Z = 1.96;

/** Wilson's score interval at 95 %: where the true rate lies, from so many successes. Without runs, anywhere. */
export function wilson(successes: number, runs: number): readonly [low: number, high: number] {
  if (runs === 0) return [0, 1];
  const rate = successes / runs;
  const weight = 1 + Z ** 2 / runs;
  const centre = (rate + Z ** 2 / (2 * runs)) / weight;
  const half = (Z / weight) * Math.sqrt((rate * (1 - rate)) / runs + Z ** 2 / (4 * runs ** 2));
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}

/** The smallest value that at least this part of them does not exceed; null of none. */
export function quantile(values: readonly number[], part: number): number | null {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? null;
}

export function median(values: readonly number[]): number | null {
  return quantile(values, 0.5);
}
