import type { Instant } from '../machine.ts';
import { RateLimiter } from '../net/rate-limit.ts';
import { BirthdayTurns } from './birthday-turns.ts';
import { Alarms, earliest } from './deadlines.ts';
import type { HubOutput } from './hub-output.ts';
import type { FromClient } from './messages.ts';
import { Outcomes } from './outcomes.ts';
import { Punch, type PunchContext, type PunchMessage, type PunchOutcome } from './punch.ts';
import type { PlanPunch, Role } from './punch-plan.ts';
import { type Link, type Session, vouchedAddress } from './records.ts';
import type { Sessions } from './sessions.ts';

/** What one party of a link may tell the other, and may report of bytes. What is more is dropped. */
const MESSAGES_PER_MINUTE = 64;
const REPORTS_PER_MINUTE = 6;

/** What the parties of a link say in order to reach each other directly. */
export type FromPuncher = FromClient<'p2p_message' | 'p2p_armed' | 'p2p_result' | 'p2p_again' | 'p2p_bytes'>;

/** What punches need of their hub. */
export interface PunchesContext {
  readonly planPunch: PlanPunch;
  readonly rememberOutcomes: boolean;
  readonly sessions: Sessions;
  emit(output: HubOutput): void;
}

/** All links that may be direct, from `p2p_answer` to `p2p_close`: orders the searches, and passes on what peers tell each other. */
export class Punches implements PunchContext {
  readonly turns = new BirthdayTurns();
  readonly #context: PunchesContext;
  readonly #outcomes = new Outcomes();
  readonly #punches = new Map<Link, Punch>();
  readonly #alarms = new Alarms<Punch>();
  readonly #messages = new RateLimiter(MESSAGES_PER_MINUTE);
  readonly #reports = new RateLimiter(REPORTS_PER_MINUTE);

  constructor(context: PunchesContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#punches.size;
  }

  get planPunch(): PlanPunch {
    return this.#context.planPunch;
  }

  get outcomes(): Outcomes | undefined {
    return this.#context.rememberOutcomes ? this.#outcomes : undefined;
  }

  /** Both parties have agreed to the link. */
  open(link: Link, now: Instant): void {
    if (!link.direct) return;
    const punch = new Punch(link, this);
    this.#punches.set(link, punch);
    punch.begin(now);
  }

  close(link: Link, now: Instant): void {
    const punch = this.#punches.get(link);
    if (punch === undefined) return;
    punch.close(now);
    this.#punches.delete(link);
    this.#alarms.delete(punch);
  }

  /** A party of the link says so. */
  receive(link: Link, session: Session, message: FromPuncher, now: Instant): void {
    const punch = this.#punches.get(link);
    if (punch === undefined) return;
    const role: Role = session === link.subscriber ? 'subscriber' : 'publisher';
    switch (message.type) {
      case 'p2p_message':
        this.#forward(link, role, message, now);
        break;
      case 'p2p_armed':
        punch.armed(role, message.step, now);
        break;
      case 'p2p_result':
        punch.report(role, message, now);
        break;
      case 'p2p_again':
        punch.again(message.search, now);
        break;
      case 'p2p_bytes':
        this.#count(link, role, message.received, now);
        break;
    }
  }

  /** A client has said what its network is like. */
  measured(session: Session, now: Instant): void {
    for (const link of session.links) this.#punches.get(link)?.measured(now);
  }

  /** A client that was away is back. */
  resumed(session: Session, now: Instant): void {
    for (const link of session.links) this.#punches.get(link)?.resumed(now);
  }

  tell({ subscriber, publisher }: Link, message: PunchMessage, now: Instant): void {
    const { sessions } = this.#context;
    sessions.mention(subscriber, withPlaceOf(publisher, message, now));
    if (publisher) sessions.mention(publisher, withPlaceOf(subscriber, message, now));
  }

  wakeIn(punch: Punch, delay: number, now: Instant): void {
    this.#alarms.set(punch, delay, now);
  }

  over(outcome: PunchOutcome): void {
    this.#context.emit({ type: 'punched', ...outcome });
  }

  nextDeadline(): Instant | undefined {
    return earliest(this.#alarms.next(), this.turns.nextDeadline());
  }

  expire(now: Instant): void {
    this.turns.expire(now);
    for (let punch = this.#alarms.expire(now); punch; punch = this.#alarms.expire(now)) punch.wake(now);
  }

  #forward(link: Link, from: Role, message: FromClient<'p2p_message'>, now: Instant): void {
    const peer = from === 'subscriber' ? link.publisher : link.subscriber;
    if (peer && this.#messages.take(`${link.id} ${from}`, now)) this.#context.sessions.mention(peer, message);
  }

  /** Each side reports what has arrived there, so that nothing is counted twice. */
  #count(link: Link, by: Role, bytes: number, now: Instant): void {
    if (!this.#reports.take(`${link.id} ${by}`, now)) return;
    this.#context.emit({ type: 'direct_bytes', direction: by === 'publisher' ? 'up' : 'down', bytes });
  }
}

/** A step says where the server's STUN has seen the other party, which is where its ports may be tried. */
function withPlaceOf(peer: Session | undefined, message: PunchMessage, now: Instant): PunchMessage {
  const address = vouchedAddress(peer, now);
  if (message.type !== 'p2p_step' || address === undefined) return message;
  return { ...message, vouched: [address] };
}
