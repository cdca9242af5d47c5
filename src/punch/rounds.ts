import type { NatVerdict } from '../nat/behaviour.ts';
import type { Endpoint } from '../net/endpoint.ts';
import { EVERY_PORT } from './birthday.ts';
import { HoldingRound, SearchingRound } from './birthday-round.ts';
import { BracketedRound, BracketingRound } from './bracket-round.ts';
import { ExchangeRound } from './exchange-round.ts';
import type { Role } from './keys.ts';
import { MeetingRound } from './meeting-round.ts';
import type { Ground, Round } from './round.ts';
import type { PunchStep } from './strategy.ts';
import { AwaitingRound, SweepingRound } from './sweep-round.ts';

/** What this side knows of its own network. */
export interface Measured {
  readonly verdict: NatVerdict;
  /** Where servers see the main socket over IPv4. */
  readonly reflexive?: Endpoint | undefined;
  /** The outside of a router's port mapping to the main socket. */
  readonly mapped?: Endpoint | undefined;
  /** The STUN server to measure with while punching, at an IPv4 address. */
  readonly stun?: Endpoint | undefined;
}

interface Side {
  readonly role: Role;
  readonly measured: Measured;
  /** Bytes from a CSPRNG. */
  readonly randomBytes: (size: number) => Buffer;
}

/** Past one NAT of one's own, and past two with a hop to spare. */
const NEAR_TTL = 2;
const FAR_TTL = 4;

/**
 * The IP TTL of a packet that opens our own NATs. Where it could not be measured, as on a NAT whose ports are random, tries begin
 * with as little as may do, because too far poisons the peer's NAT. Where both sides probe along all that they have armed, the probes
 * open what was too far away.
 * @param attempt which try of the step this is, from 1 on
 */
export function armingTtlOf({ verdict }: Measured, { hard }: PunchStep, attempt: number): number {
  if (verdict.arming_ttl !== null) return verdict.arming_ttl;
  const further = hard === 'both' ? 0 : attempt - 1;
  return Math.min(FAR_TTL, NEAR_TTL + (verdict.cgnat ? 1 : 0) + further);
}

/** This side's part in a step; undefined where it lacks what that needs. */
export function roundOf(
  { strategies: [strategy], hard }: PunchStep,
  side: Side,
  ground: Ground,
): Round | undefined {
  const { role, measured } = side;
  const { verdict, reflexive, stun } = measured;
  const { step = null, range = null } = verdict.allocation ?? {};
  const counting = step !== null && stun ? { step, stun } : undefined;
  switch (strategy) {
    case 'bracket':
    case 'extrapolate':
      if (hard !== role) return new BracketingRound(ground);
      return counting && new BracketedRound(ground, counting);
    case 'sweep':
      if (hard !== role) return counting && new AwaitingRound(ground, counting);
      return counting && new SweepingRound(ground, counting);
    case 'birthday': {
      if (hard !== role && hard !== 'both') return new SearchingRound(ground, side.randomBytes);
      const ports = range ? { first: range[0], last: range[1] } : EVERY_PORT;
      const holding = reflexive && { address: reflexive.address, range: ports };
      if (holding === undefined) return undefined;
      if (hard === 'both') return new MeetingRound(ground, holding, side.randomBytes);
      return new HoldingRound(ground, holding);
    }
    default:
      return new ExchangeRound(ground);
  }
}
