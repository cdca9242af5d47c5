import type { NatReport } from '../../../src/nat/report.ts';

export type Side = 'subscriber' | 'publisher';

/** One `path` event, as a program told it. */
export interface PathTold {
  readonly side: Side;
  /** Since the subscriber was started, in milliseconds. */
  readonly at_ms: number;
  readonly kind: 'relayed' | 'direct';
  readonly strategy: string | null;
  readonly reason: string | null;
  readonly remote: string | null;
  readonly rtt_ms: number | null;
  readonly elapsed_ms: number | null;
}

/** What a program made of its network. */
export type NetworkTold = Pick<
  NatReport,
  | 'type'
  | 'filtering'
  | 'allocation'
  | 'poisonable'
  | 'arming_ttl'
  | 'udp_blocked'
  | 'mapping_ms'
  | 'elapsed_ms'
>;

/** What came of one run. All times are milliseconds. */
export interface Outcome {
  readonly direct: boolean;
  readonly strategy: string | null;
  /** Why it stayed relayed, in the program's words, or `searching` when it was still trying at the deadline. */
  readonly reason: string | null;
  /** From the answer's arrival at the subscriber to the direct path, as the subscriber tells it. */
  readonly elapsed_ms: number | null;
  /** From the subscriber's start to the direct path. */
  readonly from_start_ms: number | null;
  /** From the subscriber's start until it was ready. */
  readonly ready_ms: number | null;
  /** From the local connect, made as soon as it was ready, to the first byte that came back. */
  readonly first_byte_ms: number | null;
  /** From the local connect to the first byte, for a connection made once there was a direct path. */
  readonly second_byte_ms: number | null;
  /** The fastest echo through that connection: below what light needs by way of the server, it went directly. */
  readonly fastest_echo_ms: number | null;
  /** What connections there were that failed, and how. */
  readonly failures: readonly string[];
  /** What the programs complained of: nothing in these networks goes wrong but paths that are not found. */
  readonly troubles: readonly string[];
  /** Something else that must not be: a program that ended by itself, or not in order. */
  readonly error: string | null;
  readonly paths: readonly PathTold[];
  /** The last that each program told of its network, if it did in time. */
  readonly networks: Readonly<Partial<Record<Side, NetworkTold>>>;
}

/** A run of the matrix, as it is kept. */
export interface RunRecord extends Outcome {
  readonly class: string;
  /** The pair's name: subscriber's × publisher's. */
  readonly pair: string;
  /** Counts the runs of one pair in one class. */
  readonly index: number;
  /** Of the laboratory. */
  readonly seed: number;
  /** What the sites' NATs do with ports, for people. */
  readonly sites: readonly string[];
  /** ISO 8601, and how long it took in all. */
  readonly at: string;
  readonly took_ms: number;
}
