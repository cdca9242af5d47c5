import type { Endpoint } from '../net/endpoint.ts';
import type { ChecksOptions } from './checks.ts';
import type { ExtraSocketOutput } from './extra-sockets.ts';
import type { FailureReason, Prediction } from './round.ts';
import type { Measured } from './rounds.ts';
import type { Strategy } from './strategies.ts';

/** The sockets that the agent is given, by family. Those that it asks for have the numbers after them. */
export const MAIN_SOCKET = { 4: 0, 6: 1 } as const;

export interface PunchOptions extends ChecksOptions {
  /** For which there is a main socket. */
  readonly families: readonly (4 | 6)[];
  readonly measured: Measured;
  /** Whether the peer may be on this machine, as it is where the server is. */
  readonly loopback?: boolean;
}

/** The path that both sides use from now on. */
export interface SelectedPath {
  readonly socket: number;
  readonly remote: Endpoint;
  readonly strategy: Strategy;
  /** Milliseconds. */
  readonly rtt: number;
}

export type PunchOutput =
  /** Sockets to be opened and closed, and datagrams to be sent: each in its order. */
  | ExtraSocketOutput
  /** To be told to the peer. */
  | { readonly type: 'predicted'; readonly prediction: Prediction }
  /** To be told to the server: from here on, "go" may come. */
  | { readonly type: 'armed' }
  /** Again each time the path moves. */
  | ({ readonly type: 'selected' } & SelectedPath)
  /** A step has come to nothing; there may be another one. */
  | { readonly type: 'failed'; readonly reason: FailureReason }
  /** The selected path is dead, and with it the agent. */
  | { readonly type: 'lost' };
