import type { Instant } from '../machine.ts';
import { rateKey } from '../net/rate-limit.ts';
import type { BirthdayTurns } from './birthday-turns.ts';
import type { FromClient, FromServer } from './messages.ts';
import { isBurdensome, type Outcomes } from './outcomes.ts';
import {
  type PlanPunch,
  type PunchPlan,
  type PunchSide,
  type PunchStep,
  type Role,
  UNKNOWN_SIDE,
} from './punch-plan.ts';
import { type Link, type Session, vouchedAddress } from './records.ts';

// All in milliseconds.

/** How long a search waits for both sides to have measured their networks. */
const NAT_WAIT = 10_000;
/** How long both sides have to get ready, and then to say what came of it. */
const ARMING_TIME = 10_000;
const TRYING_TIME = 30_000;
/** What one side has given up, the other one has soon, too. */
const GRACE = 3_000;
/** How often a search that waits for its turn looks again, and how many times. */
const TURN_INTERVAL = 1_000;
const MAX_LOOKS = 120;
/** Between one search and the next: from the first to the second figure, doubled each time. */
const FIRST_PAUSE = 1_000;
const LAST_PAUSE = 60_000;
/** A path that lasted this long was a good one: the next search begins at once. */
const STABLE_TIME = 60_000;

/** How often a search begins a try anew because a side was away; after that, it counts. */
const MAX_RESTARTS = 3;

/** Ends of a search that say nothing of the networks. */
const UNTRIED: ReadonlySet<string> = new Set(['refused', 'busy']);

/** Why a plan has no way, and has one as soon as both parties have shown where they are. */
const UNVOUCHED = 'unvouched';

const NOTHING: PunchPlan = { steps: [], noWay: null };

/** The step that has led to a path, and what the subscriber says of it. */
interface Found extends Pick<FromClient<'p2p_result'>, 'strategy' | 'milliseconds'> {
  readonly by: PunchStep;
}

/** What the parties are told. */
export type PunchMessage = FromServer<'p2p_step' | 'p2p_go' | 'p2p_relay'>;

/** What became of a search. `milliseconds`: how long it took. */
export interface PunchOutcome {
  readonly link: string;
  /** `direct`, or why the link stays relayed. */
  readonly outcome: string;
  /** By which of the strategies that were planned, if the client says so. */
  readonly strategy: string | undefined;
  /** As the client has measured it. */
  readonly milliseconds: number | undefined;
}

/** What a punch needs of those who look after all of them. */
export interface PunchContext {
  readonly planPunch: PlanPunch;
  readonly turns: BirthdayTurns;
  /** Undefined where nothing is remembered. */
  readonly outcomes: Outcomes | undefined;
  /** To both parties; with a step each hears where the other one has been seen. */
  tell(link: Link, message: PunchMessage, now: Instant): void;
  /** Calls `wake` after that time, and not at the time asked for before. */
  wakeIn(punch: Punch, delay: number, now: Instant): void;
  over(outcome: PunchOutcome): void;
}

/**
 * `resting`: there is a path, or none is looked for. `pausing`: until the next search may begin. `measuring`: the parties do not know
 * their networks yet. `queueing`: for a turn. `absent`: a party is away. `arming`, `going`: a try is under way.
 */
type Phase = 'resting' | 'pausing' | 'measuring' | 'queueing' | 'absent' | 'arming' | 'going';

/**
 * The searches for a direct path of one link. A search follows a plan: step by step, and each step so many tries. For a try both sides
 * arm, are told to go when both have, and report. Clocks are not compared, and nothing that a client says is needed to go on.
 */
export class Punch {
  readonly link: Link;
  readonly #context: PunchContext;
  #phase: Phase = 'resting';
  /** Counts searches. */
  #search = 0;
  /** Counts tries, through all searches. */
  #step = 0;
  /** The steps of the plan to which the tries of this search belong. */
  #tried: PunchStep[] = [];
  /** What is tried, and what would be if nothing were known of this pair of networks. */
  #plan = NOTHING;
  #naturalPlan = NOTHING;
  /** Where both parties are, as far as the server can tell them apart. */
  #networks: readonly string[] = [];
  /** Which step of the plan, and which try of it. */
  #index = 0;
  #attempt = 1;
  #restarts = 0;
  #looks = 0;
  /** Whether a step that is a burden on networks was tried. */
  #burdened = false;
  /** Who is ready, and who has reported. */
  readonly #armed = new Set<Role>();
  readonly #reported = new Set<Role>();
  /** Addresses for which it has the turn. */
  #turn: readonly string[] | undefined;
  #pause = FIRST_PAUSE;
  #endedAt: Instant = 0;
  #direct = false;
  /** The last search came to nothing because it was not known well enough where a party is. */
  #isUnvouched = false;

  constructor(link: Link, context: PunchContext) {
    this.link = link;
    this.#context = context;
  }

  /** Begins a search. */
  begin(now: Instant): void {
    this.#search++;
    this.#tried = [];
    this.#burdened = false;
    this.#restarts = 0;
    this.#looks = 0;
    this.#direct = false;
    this.#wait('measuring', NAT_WAIT, now);
    this.measured(now);
  }

  /** A party has said what its network is like. */
  measured(now: Instant): void {
    const { subscriber, publisher } = this.link;
    if (this.#phase === 'measuring' && subscriber.nat && publisher?.nat) this.#choose(now);
    const isVouched = vouchedAddress(subscriber, now) && vouchedAddress(publisher, now);
    if (this.#phase === 'resting' && this.#isUnvouched && isVouched) this.again(this.#search, now);
  }

  /** A party is back, and may have missed anything: the try begins anew. */
  resumed(now: Instant): void {
    if (this.#phase !== 'absent' && !this.#isTrying) return;
    if (++this.#restarts > MAX_RESTARTS) this.#next(now);
    else this.#try(now);
  }

  armed(role: Role, step: number, now: Instant): void {
    if (this.#phase !== 'arming' || step !== this.#step) return;
    this.#armed.add(role);
    if (this.#armed.size < 2) return;
    this.#wait('going', TRYING_TIME, now);
    const tried = this.#tried.at(-1);
    this.#burdened ||= tried !== undefined && isBurdensome(tried);
    this.#tell({ type: 'p2p_go', link: this.link.id, step }, now);
  }

  report(role: Role, message: FromClient<'p2p_result'>, now: Instant): void {
    const { step, result } = message;
    if (result === 'direct' && role === 'subscriber') {
      // It may have crossed with the next try. The subscriber decides which path is used, so that its word is enough.
      const tried = this.#tried[step - this.#step + this.#tried.length - 1];
      if (this.#isSearching && tried) this.#end('direct', now, { ...message, by: tried });
      return;
    }
    if (!this.#isTrying || step !== this.#step || this.#reported.has(role)) return;
    this.#reported.add(role);
    if (result === 'refused') this.#end('refused', now);
    else if (this.#reported.size === 2 || (result === 'failed' && this.#phase === 'arming')) this.#next(now);
    else if (result === 'failed') this.#wait('going', GRACE, now);
  }

  /** A client wants another search after that of this number, the latest that it knows of. */
  again(search: number, now: Instant): void {
    // The other side has asked first, and the answer to that has crossed with this.
    const isOld = this.#phase !== 'resting' && search !== this.#search;
    if (isOld || this.#phase === 'pausing' || this.#phase === 'measuring') return;
    if (this.#phase !== 'resting') this.#stop(now);
    if (this.#direct && now - this.#endedAt >= STABLE_TIME) this.#pause = FIRST_PAUSE;
    const pause = this.#pause;
    this.#pause = Math.min(LAST_PAUSE, 2 * pause);
    if (now - this.#endedAt >= pause) this.begin(now);
    else this.#wait('pausing', pause, now);
  }

  /** It has taken long enough. */
  wake(now: Instant): void {
    switch (this.#phase) {
      case 'pausing':
        this.begin(now);
        break;
      case 'measuring':
        this.#choose(now);
        break;
      case 'queueing':
        this.#try(now);
        break;
      case 'arming':
      case 'going':
        if (this.#isAway) this.#phase = 'absent';
        else this.#next(now);
        break;
    }
  }

  /** The link is over. */
  close(now: Instant): void {
    this.#stop(now);
  }

  get #isTrying(): boolean {
    return this.#phase === 'arming' || this.#phase === 'going';
  }

  get #isSearching(): boolean {
    return this.#isTrying || this.#phase === 'queueing' || this.#phase === 'absent';
  }

  get #isAway(): boolean {
    const { subscriber, publisher } = this.link;
    return subscriber.connection === undefined || publisher?.connection === undefined;
  }

  #choose(now: Instant): void {
    const { subscriber, publisher } = this.link;
    const { planPunch, outcomes } = this.#context;
    this.#networks = [subscriber, publisher].map((party) => rateKey(party?.remoteAddress ?? ''));
    const together = new Set(this.#networks).size === 1;
    this.#naturalPlan = planPunch(sideOf(subscriber, now), sideOf(publisher, now), together);
    this.#plan = outcomes?.adapt(this.#networks, this.#naturalPlan, now) ?? this.#naturalPlan;
    this.#index = 0;
    this.#attempt = 1;
    this.#try(now);
  }

  #try(now: Instant): void {
    const { link } = this;
    const plan = this.#plan.steps[this.#index];
    if (this.#isAway) {
      this.#phase = 'absent';
    } else if (plan === undefined) {
      this.#end(this.#plan.noWay ?? 'exhausted', now);
    } else if (!this.#hasTurn(plan.strategies)) {
      if (++this.#looks > MAX_LOOKS) this.#end('busy', now);
      else this.#wait('queueing', TURN_INTERVAL, now);
    } else {
      this.#armed.clear();
      this.#reported.clear();
      this.#tried.push(plan);
      this.#wait('arming', ARMING_TIME, now);
      const numbers = { search: this.#search, step: ++this.#step, attempt: this.#attempt };
      this.#tell({ type: 'p2p_step', link: link.id, ...numbers, plan }, now);
    }
  }

  #next(now: Instant): void {
    if (this.#attempt < (this.#plan.steps[this.#index]?.tries ?? 0)) {
      this.#attempt++;
    } else {
      this.#attempt = 1;
      this.#index++;
      this.#giveTurn(false, now);
    }
    this.#try(now);
  }

  #end(outcome: string, now: Instant, found?: Found): void {
    const { id } = this.link;
    this.#direct = found !== undefined;
    this.#isUnvouched = outcome === UNVOUCHED;
    if (found || (this.#burdened && !UNTRIED.has(outcome))) {
      this.#context.outcomes?.remember(this.#networks, this.#naturalPlan, found?.by, now);
    }
    this.#stop(now);
    if (!this.#direct)
      this.#tell({ type: 'p2p_relay', link: id, search: this.#search, reason: outcome }, now);
    const planned = this.#plan.steps.flatMap(({ strategies }) => strategies);
    const strategy = planned.find((one) => one === found?.strategy);
    this.#context.over({ link: id, outcome, strategy, milliseconds: found?.milliseconds });
  }

  /** Back to rest, whatever it was doing. */
  #stop(now: Instant): void {
    this.#giveTurn(this.#direct, now);
    this.#phase = 'resting';
    this.#endedAt = now;
  }

  /** Whether it may use these strategies now; if so, nobody else at the same addresses may. */
  #hasTurn(strategies: readonly string[]): boolean {
    if (this.#turn !== undefined || !strategies.includes('birthday')) return true;
    if (!this.#context.turns.take(this.#networks)) return false;
    this.#turn = this.#networks;
    return true;
  }

  #giveTurn(found: boolean, now: Instant): void {
    const { turns, outcomes } = this.#context;
    if (this.#turn) turns.release(this.#turn, !found && outcomes !== undefined, now);
    this.#turn = undefined;
  }

  #wait(phase: Phase, delay: number, now: Instant): void {
    this.#phase = phase;
    this.#context.wakeIn(this, delay, now);
  }

  #tell(message: PunchMessage, now: Instant): void {
    this.#context.tell(this.link, message, now);
  }
}

function sideOf(session: Session | undefined, now: Instant): PunchSide {
  if (!session?.nat) return UNKNOWN_SIDE;
  return { verdict: session.nat, lan: session.lan, vouched: vouchedAddress(session, now) !== undefined };
}
