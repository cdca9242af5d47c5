import type { NatVerdict } from '../nat/behaviour.ts';

/** Which end of a link. */
export type Role = 'subscriber' | 'publisher';

/** What a client has told of its network, and all that a plan may be made from. */
export interface PunchSide {
  readonly verdict: NatVerdict;
  /** Whether it tells its peer addresses of its own network. */
  readonly lan: boolean;
  /** Whether the server can tell its peer where it is: nobody probes predicted ports anywhere else. */
  readonly vouched: boolean;
}

/** One way of trying: both sides prepare it, and begin when both have. */
export interface PunchStep {
  /** The most wanted first. Only clients know what they mean, but for `birthday`, which takes turns. */
  readonly strategies: readonly string[];
  /** Whose NAT's ports are predicted or searched for; undefined where it is neither's. */
  readonly hard?: Role | 'both' | undefined;
  /** How often it may be tried in all. */
  readonly tries: number;
}

export interface PunchPlan {
  /** In this order, until one succeeds. */
  readonly steps: readonly PunchStep[];
  /** Why their NATs cannot be got through; null where they may be. There can be steps even so. */
  readonly noWay: string | null;
}

/** Chooses what two clients try. @param together whether both connect to the server from one address */
export type PlanPunch = (subscriber: PunchSide, publisher: PunchSide, together: boolean) => PunchPlan;

/** What is assumed of the network of a client that has not said. */
export const UNKNOWN_SIDE: PunchSide = {
  verdict: {
    type: 'unknown',
    mapping: 'unknown',
    mapping_confidence: null,
    filtering: 'unknown',
    allocation: null,
    poisonable: null,
    hairpin: null,
    cgnat: null,
    udp_blocked: false,
    arming_ttl: null,
    port_mapped: false,
    ipv6: false,
  },
  lan: false,
  vouched: false,
};
