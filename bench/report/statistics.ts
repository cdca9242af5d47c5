/** What several rounds gave. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** The value below which a share of the values lies, as `quantile(times, 0.99)`. NaN without values. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const position = (sorted.length - 1) * share;
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position % 1);
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), least: Math.min(...values), most: Math.max(...values) };
}

/** The medians of what several rounds gave by name. */
export function medians(rounds: readonly ReadonlyMap<string, number>[]): Record<string, number> {
  const names = rounds[0]?.keys() ?? [];
  return Object.fromEntries([...names].map((name) => [name, median(rounds.map((r) => r.get(name) ?? NaN))]));
}

export function total(values: Iterable<number>): number {
  return [...values].reduce((sum, value) => sum + value, 0);
}
