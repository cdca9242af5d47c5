import type { Instant } from '../machine.ts';
import type { Prober } from '../nat/prober.ts';
import type { Endpoint } from '../net/endpoint.ts';
import type { Checks } from './checks.ts';
import type { Remote, Remotes } from './remotes.ts';
import type { Strategy } from './strategies.ts';

/** Where the peer's NAT should let us in, by the peer's own measurement: one of these ports, or any of a range. */
export type Prediction =
  | {
      readonly address: string;
      /** The likeliest first. */
      readonly ports: readonly number[];
      readonly strategy: 'bracket' | 'extrapolate' | 'sweep';
    }
  | { readonly address: string; readonly first: number; readonly last: number };

/**
 * Why a step came to nothing. `unanswered`: its time is over. `unmeasured`: no STUN server told what it needs. `untold`: the peer
 * did not tell what it needs. `unvouched`: our server has not seen the peer where the peer says it is. `abandoned`: it was never told to
 * go. `exhausted`: there were too many steps already.
 */
export type FailureReason = 'unanswered' | 'unmeasured' | 'untold' | 'unvouched' | 'abandoned' | 'exhausted';

/** How long the peer may take to say what a round needs to know of it, in milliseconds. */
export const TELLING = 2500;

/** What a round of one strategy works with. */
export interface Ground {
  now(): Instant;
  readonly checks: Checks;
  readonly remotes: Remotes;
  /** STUN, fresh sockets and a diary, until the round is over. Its sockets' numbers are its own: see `numberOf`. */
  readonly bench: Prober;
  /** The agent's number of a socket that the bench opened. */
  numberOf(benchSocket: { readonly id: number }): number;
  /** The socket whose mapping the peer knows; undefined where there is none of the address's family. */
  mainSocket(remote: Endpoint): number | undefined;
  /** Calls back with where the internet sees the peer: as soon as the peer has said so, which may be later than the step. */
  aim(then: (peer: Remote) => void): void;
  /** Whether what comes first from there would not be let in. */
  filters(from: Endpoint): boolean;
  /** A probe that makes our own NATs expect the peer, and does not reach its own. */
  arm(socket: number, to: Endpoint): void;
  /** Tells the peer where to find us. */
  announce(prediction: Prediction): void;
  /** All that was to be done before the peer may begin has been done. */
  armed(): void;
  fail(reason: FailureReason): void;
}

/** One way of trying, from arming to the end of its time. */
export interface Round {
  /** How long it may take once it is told to go, in milliseconds. */
  readonly budget: number;
  /** What a path that it finds is called; undefined where the pair tells. */
  readonly strategy?: Strategy | undefined;
  arm(): void;
  go(): void;
  /** The peer has named an address. */
  candidate?(remote: Remote): void;
  /** The peer has said where it should be found. */
  predicted?(prediction: Prediction): void;
}
