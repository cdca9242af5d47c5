import type { Instant } from '../machine.ts';
import type { AgreementContext } from './agreement.ts';
import { MAX_UNANSWERED, offsetOf, type Pair } from './pair.ts';
import { preferredOf, rankOf } from './preference.ts';
import type { Nomination } from './probe.ts';
import type { Question } from './questions.ts';

/** How long a better path may be in coming once there is one at all, in milliseconds. */
const GRACE = 80;

/** Each nomination is said this often, heard or not. */
const REPEATS = 3;

const MAX_NUMBER = 65_535;

export type NominatorContext = Pick<AgreementContext, 'ask' | 'nameOf' | 'isExpected'>;

interface Current {
  readonly pair: Pair;
  readonly nomination: Nomination;
  readonly since: Instant;
  sent: number;
  confirmed: boolean;
}

/** The subscriber's choice among the valid pairs, said until the publisher agrees. */
export class Nominator {
  readonly #context: NominatorContext;
  readonly #refused = new Set<Pair>();
  #graceUntil: Instant | undefined;
  #waiting = false;
  #current: Current | undefined;
  #number = 0;

  constructor(context: NominatorContext) {
    this.#context = context;
  }

  /** Whether there is a choice, agreed on or not. */
  get busy(): boolean {
    return this.#current !== undefined;
  }

  /** The choice that heartbeats repeat. */
  get nomination(): Nomination | undefined {
    return this.#current?.nomination;
  }

  /** Chooses if there is something to choose from, and nothing better to wait for. */
  consider(pairs: readonly Pair[], now: Instant): void {
    this.#waiting = false;
    const best = preferredOf(pairs.filter((pair) => !this.#refused.has(pair)));
    if (this.#current || best === undefined) return;
    this.#graceUntil ??= now + GRACE;
    const hopes = pairs.some(
      (pair) =>
        !pair.valid &&
        pair.nextAt !== undefined &&
        rankOf(pair) < rankOf(best) &&
        this.#context.isExpected(pair),
    );
    this.#waiting = hopes && now < this.#graceUntil;
    if (!this.#waiting) this.choose(best, now);
  }

  /** Nothing, if it is the choice already. */
  choose(pair: Pair, now: Instant): void {
    if (this.#current?.pair === pair) return;
    const number = Math.min(++this.#number, MAX_NUMBER);
    const nomination = { number, strategy: this.#context.nameOf(pair) };
    this.#current = { pair, nomination, since: now, sent: 0, confirmed: false };
    this.handleTimeout(now);
  }

  /** Whether this answer is the publisher's consent to the choice, the first one. */
  confirms(question: Question, answer: Nomination | undefined): boolean {
    const current = this.#current;
    const { number } = current?.nomination ?? {};
    if (
      !current ||
      current.confirmed ||
      answer?.number !== number ||
      question.nomination?.number !== number
    ) {
      return false;
    }
    current.confirmed = true;
    return true;
  }

  /** A new step begins: what was refused before may be chosen again. */
  reset(): void {
    this.#refused.clear();
    this.#graceUntil = undefined;
    this.#waiting = false;
    this.#current = undefined;
  }

  /** When to say it again; or when waiting is over, and `consider` is to be called. */
  pollTimeout(): Instant | undefined {
    const current = this.#current;
    if (current === undefined) return this.#waiting ? this.#graceUntil : undefined;
    if (current.confirmed && current.sent >= REPEATS) return undefined;
    return current.since + offsetOf(current.sent);
  }

  handleTimeout(now: Instant): void {
    const current = this.#current;
    const due = this.pollTimeout();
    if (current === undefined || due === undefined || due > now) return;
    if (!current.confirmed && current.sent >= MAX_UNANSWERED) {
      this.#refused.add(current.pair);
      this.#current = undefined;
    } else {
      current.sent++;
      this.#context.ask(current.pair, current.nomination, now);
    }
  }
}
