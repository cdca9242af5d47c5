import type { NatVerdict } from '../nat/behaviour.ts';
import { type NatKind, natKind } from '../nat/people.ts';
import { isWorthMeeting } from './blocks.ts';
import type { Role } from './keys.ts';
import type { Strategy } from './strategies.ts';

/** What a plan is made from: nothing but what a server may know. */
export interface PunchSide {
  readonly verdict: NatVerdict;
  /** Whether it tells its peer addresses of its own network. */
  readonly lan: boolean;
  /** Whether the server can tell its peer where it is: nobody probes predicted ports anywhere else. */
  readonly vouched: boolean;
}

/** One arming, one "go", and what may come of it. */
export interface PunchStep {
  /** The most wanted first. More than one where all are tried by the same exchange of probes. */
  readonly strategies: readonly [Strategy, ...Strategy[]];
  /** Whose NAT's ports are predicted, or searched for; undefined in a mere exchange. */
  readonly hard?: Role | 'both';
  /** How often it may be tried in all. */
  readonly tries: number;
}

/**
 * Why no way through the NATs is tried. `unpredictable`: both ports would have to be guessed. `unmeasured`: a NAT is not known.
 * `no-hairpin`: both are behind one NAT that does not lead back into its own network. `unvouched`: ports would have to be predicted,
 * and the server has not seen for itself where one of them is.
 */
export type NoWay = 'unpredictable' | 'unmeasured' | 'udp-blocked' | 'no-hairpin' | 'unvouched';

export interface PunchPlan {
  /** In this order, until one succeeds. Empty: relay at once. */
  readonly steps: readonly PunchStep[];
  /** Null where the NATs are worth a try. There may be steps even so: inside one network, and over IPv6. */
  readonly noWay: NoWay | null;
}

interface Way {
  readonly strategy: Strategy;
  /** How often it is tried where one side's ports have to be found; that is the side with the harder kind. */
  readonly tries?: number;
  /** Both sides' ports have to be found. */
  readonly mutual?: boolean;
}

/** How two NATs are got through, the easier kind first; what is not here is relayed. */
const WAYS: Readonly<Partial<Record<`${NatKind} ${NatKind}`, Way>>> = {
  'open open': { strategy: 'open' },
  'open cone': { strategy: 'open' },
  'open sequential': { strategy: 'open' },
  'open random': { strategy: 'open' },
  'cone cone': { strategy: 'direct' },
  'cone sequential': { strategy: 'bracket', tries: 3 },
  'cone random': { strategy: 'birthday', tries: 2 },
  // Either could be the one whose ports are swept through; somebody has to be.
  'sequential sequential': { strategy: 'sweep', tries: 3 },
};

/** Two NATs whose ports are random, but out of a block that is small enough. */
const BLOCKS: Way = { strategy: 'birthday', tries: 2, mutual: true };

/**
 * What to try between two clients, from what both have measured and nothing else: a server can choose, and both sides know what to
 * expect. @param together whether both have the same public address
 */
export function planPunch(subscriber: PunchSide, publisher: PunchSide, together: boolean): PunchPlan {
  const both = (test: (side: PunchSide) => boolean) => test(subscriber) && test(publisher);
  const [mine, yours] = [natKind(subscriber.verdict), natKind(publisher.verdict)];
  const known = WAYS[`${mine} ${yours}`] ?? WAYS[`${yours} ${mine}`];
  const way = known ?? (together ? undefined : wayThrough(subscriber, publisher));
  const hairpin = together && way !== undefined && both(({ verdict }) => verdict.hairpin !== false);
  const through = together ? undefined : way;
  const exchange: (Strategy | false)[] = [
    together && both(({ lan }) => lan) && 'host',
    hairpin && 'hairpin',
    both(({ verdict }) => verdict.ipv6) && 'ipv6',
    through !== undefined && through.tries === undefined && nameOf(through, [subscriber, publisher]),
  ];
  const steps: PunchStep[] = [];
  const [first, ...more] = exchange.filter((strategy) => strategy !== false);
  if (first) steps.push({ strategies: [first, ...more], tries: 1 });
  const isVouched = both(({ vouched }) => vouched);
  if (through?.tries !== undefined && isVouched) {
    const harder = WAYS[`${yours} ${mine}`] === through && yours !== mine ? 'subscriber' : 'publisher';
    const hard = through.mutual ? 'both' : harder;
    steps.push({ strategies: [through.strategy], hard, tries: through.tries });
  }
  const unvouched = through?.tries !== undefined && !isVouched ? 'unvouched' : null;
  const noWay = noWayOf([mine, yours], way) ?? (together && !hairpin ? 'no-hairpin' : unvouched);
  return { steps, noWay };
}

/** How two NATs are got through neither of whose ports can be foreseen. */
function wayThrough(one: PunchSide, other: PunchSide): Way | undefined {
  const [mine, yours] = [blockOf(one), blockOf(other)];
  return mine && yours && isWorthMeeting(mine, yours) ? BLOCKS : undefined;
}

/** How many ports a NAT chooses from, where that is a block of them; undefined for any other. */
function blockOf({ verdict }: PunchSide): number | undefined {
  if (natKind(verdict) !== 'random' || verdict.allocation?.pattern !== 'block') return undefined;
  const { range } = verdict.allocation;
  return range ? range[1] - range[0] + 1 : undefined;
}

function nameOf({ strategy }: Way, sides: readonly PunchSide[]): Strategy {
  return sides.some(({ verdict }) => verdict.port_mapped) ? 'mapped' : strategy;
}

function noWayOf(kinds: readonly NatKind[], way: Way | undefined): NoWay | null {
  if (kinds.includes('blocked')) return 'udp-blocked';
  if (kinds.includes('unknown')) return 'unmeasured';
  return way === undefined ? 'unpredictable' : null;
}
