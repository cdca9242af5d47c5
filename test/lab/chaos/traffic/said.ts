/** What the traffic programs tell, a line of JSON each. Times are Date.now()'s: all of a laboratory is one machine. */
export type Said =
  | { readonly event: 'ready' }
  | { readonly event: 'opened'; readonly at: number; readonly id: number; readonly style: Style }
  /** Both directions ended in order. The other end must have sent what was received here, and the other way round. */
  | ({ readonly event: 'ended' } & Sums)
  | ({ readonly event: 'failed'; readonly what: Failing; readonly detail: string } & Sums)
  /** Something moves again, after longer than `PAUSE`. */
  | {
      readonly event: 'paused';
      readonly kind: 'tcp' | 'udp';
      readonly id: number;
      readonly from: number;
      readonly at: number;
    }
  | State
  /** After it was asked to finish, and all connections are over. */
  | { readonly event: 'finished' };

export interface Sums {
  readonly at: number;
  readonly id: number;
  readonly sent: number;
  readonly received: number;
}

/** Every half second. */
export interface State {
  readonly event: 'state';
  readonly at: number;
  /** Connections at the moment. */
  readonly live: number;
  /** What has not moved for longer than `PAUSE` although it should: since when. */
  readonly stalled: readonly { readonly kind: 'tcp' | 'udp'; readonly id: number; readonly since: number }[];
  /** Received in all, and verified. */
  readonly bytes: number;
  readonly datagrams: Datagrams;
}

export interface Datagrams {
  readonly sent: number;
  readonly echoed: number;
  readonly duplicates: number;
  readonly corrupted: number;
}

/**
 * `bulk`: both ways at a pace. `chat`: many small pieces, each answered by as much. `message`: one way, half-closed, then the
 * other way, and the next connection.
 */
export const STYLES = ['bulk', 'chat', 'message'] as const;
export type Style = (typeof STYLES)[number];

/** `corrupted`: a byte that is not the one at its place. `truncated`: ended too early. `lost`: silent for longer than `LOST`. */
export type Failing = 'corrupted' | 'reset' | 'truncated' | 'refused' | 'lost';

/** Milliseconds without a byte that are worth telling. */
export const PAUSE = 500;
/** Milliseconds without a byte after which a connection is given up: longer than the grace and what recovery may take. */
export const LOST = 75_000;

export const NO_DATAGRAMS: Datagrams = { sent: 0, echoed: 0, duplicates: 0, corrupted: 0 };

export function tell(said: Said): void {
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
