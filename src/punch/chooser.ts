import type { Instant } from '../machine.ts';
import type { Agreement, AgreementContext } from './agreement.ts';
import { Nominator } from './nominator.ts';
import type { Pair } from './pair.ts';
import type { Nomination, Probe } from './probe.ts';
import type { Question } from './questions.ts';

/** The subscriber's part: it chooses a pair, and another one when that is better, or the peer has moved. */
export class Chooser implements Agreement {
  readonly #context: AgreementContext;
  readonly #nominator: Nominator;
  /** Where the peer says that it is now, which has to be proven. */
  #moved: Pair | undefined;

  constructor(context: AgreementContext) {
    this.#context = context;
    this.#nominator = new Nominator(context);
  }

  get nomination(): Nomination | undefined {
    return this.#nominator.nomination;
  }

  begin(): void {
    this.#nominator.reset();
  }

  consider(now: Instant): void {
    this.#nominator.consider(this.#context.pairs(), now);
  }

  answered(pair: Pair, question: Question, answer: Probe, now: Instant): void {
    if (this.#nominator.confirms(question, answer.nomination) && answer.nomination) {
      this.#context.select(pair, answer.nomination, now);
    } else if (pair === this.#moved || this.#context.path()?.isInferiorTo(pair)) this.#choose(pair, now);
  }

  /** A publisher repeats what was agreed on: if that comes from elsewhere, it has moved. */
  heard(pair: Pair, { number }: Nomination, now: Instant): boolean {
    const path = this.#context.path();
    if (path === undefined || pair === path.pair || number !== this.nomination?.number) return false;
    if (this.#context.isProven(pair, now)) this.#choose(pair, now);
    else this.#moved = pair;
    return false;
  }

  pollTimeout(): Instant | undefined {
    return this.#nominator.pollTimeout();
  }

  handleTimeout(now: Instant): void {
    this.#nominator.handleTimeout(now);
    const path = this.#context.path();
    // The peer has not agreed to another pair: it has to hear that this one is still used.
    if (path && !this.#nominator.busy) this.#nominator.choose(path.pair, now);
  }

  #choose(pair: Pair, now: Instant): void {
    this.#moved = undefined;
    this.#nominator.choose(pair, now);
  }
}
