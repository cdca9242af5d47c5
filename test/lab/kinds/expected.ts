import type { Behaviour } from '../../../src/nat/behaviour.ts';

/** What a NAT is built to do, in the words of RFC 4787; what every prober must find. */
export interface Expected {
  /** `none` where nothing translates. */
  readonly mapping: Behaviour;
  /** `none` where nothing filters; `unknown` where no UDP comes through. */
  readonly filtering: Behaviour;
  /** Null where no UDP comes through. */
  readonly allocation: ExpectedAllocation | null;
  /** Whether an unsolicited packet spoils the mapping towards its sender; null where each destination has its own anyway. */
  readonly poisonable: boolean | null;
}

export type ExpectedAllocation =
  | { readonly pattern: 'preserving' | 'constant' | 'random' }
  /** Each port follows the one before at `step`, or at up to `jitter` times as far. */
  | { readonly pattern: 'sequential'; readonly step: number; readonly jitter: number }
  | { readonly pattern: 'block'; readonly range: readonly [number, number] };

const STRICTNESS: readonly Behaviour[] = [
  'none',
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
];

/** What two NATs in a row do: the home router's, and the carrier's in front of it. */
export function inSeries(home: Expected, carrier: Expected): Expected {
  if (home.allocation === null) return home;
  if (carrier.allocation === null) return carrier;
  const mapping = stricter(home.mapping, carrier.mapping);
  return {
    mapping,
    filtering: stricter(home.filtering, carrier.filtering),
    allocation: allocationInSeries(home.allocation, carrier.allocation),
    poisonable: isIndependent(mapping) ? poisonableInSeries(home, carrier) : null,
  };
}

function stricter(one: Behaviour, other: Behaviour): Behaviour {
  return STRICTNESS.indexOf(one) > STRICTNESS.indexOf(other) ? one : other;
}

function isIndependent(mapping: Behaviour): boolean {
  return mapping === 'none' || mapping === 'endpoint-independent';
}

/** The home router is spoilt only by what the carrier lets through to it. */
function poisonableInSeries(home: Expected, carrier: Expected): boolean {
  const letsThrough = carrier.filtering === 'none' || carrier.filtering === 'endpoint-independent';
  return carrier.poisonable === true || (letsThrough && home.poisonable === true);
}

/** The outer NAT has the last word, unless it keeps what the inner one chose. */
function allocationInSeries(inner: ExpectedAllocation, outer: ExpectedAllocation): ExpectedAllocation {
  if (outer.pattern === 'preserving') return inner;
  if (outer.pattern !== 'constant' || inner.pattern === 'preserving') return outer;
  return inner.pattern === 'constant' ? outer : { pattern: 'random' };
}
