import type { Spread } from './statistics.ts';

/** Where a comparison should be. */
export interface Target {
  readonly label: 'target' | 'aim';
  readonly bound: 'least' | 'most';
  readonly value: number;
}

/** One figure beside its yardstick, measured in the same run. */
export interface Figure {
  readonly what: string;
  /** Of `subject` and `yardstick`. */
  readonly unit: string;
  readonly subject: number;
  readonly yardstick?: number;
  /** The two compared round by round, where that says more than the two values. */
  readonly compared?: Spread & { readonly unit: string };
  /** About the median of the comparison, or about the subject where there is none. */
  readonly targets: readonly Target[];
  /** What helps to understand it: a title, and values by name. */
  readonly details?: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export const atLeast = (value: number, label: Target['label'] = 'target'): Target => {
  return { label, bound: 'least', value };
};

export const atMost = (value: number, label: Target['label'] = 'target'): Target => {
  return { label, bound: 'most', value };
};

export function isReached({ bound, value }: Target, { compared, subject }: Figure): boolean {
  const judged = compared?.median ?? subject;
  return bound === 'least' ? judged >= value : judged <= value;
}
