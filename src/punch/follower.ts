import type { Instant } from '../machine.ts';
import type { Agreement, AgreementContext } from './agreement.ts';
import type { Pair } from './pair.ts';
import type { Nomination, Probe } from './probe.ts';
import type { Question } from './questions.ts';

/** The publisher's part: it uses what the subscriber has chosen, as soon as that is proven. */
export class Follower implements Agreement {
  readonly #context: AgreementContext;
  #asked: { readonly pair: Pair; readonly nomination: Nomination } | undefined;

  constructor(context: AgreementContext) {
    this.#context = context;
  }

  get nomination(): Nomination | undefined {
    return this.#asked?.nomination;
  }

  begin(): void {}

  consider(): void {}

  answered(pair: Pair, _question: Question, _answer: Probe, now: Instant): void {
    if (this.#asked?.pair === pair) this.#use(pair, this.#asked.nomination, now);
  }

  /** Older nominations may arrive after newer ones. */
  heard(pair: Pair, nomination: Nomination, now: Instant): boolean {
    if (nomination.number < (this.nomination?.number ?? 0)) return false;
    this.#asked = { pair, nomination };
    if (!this.#context.isProven(pair, now)) return false;
    this.#use(pair, nomination, now);
    return true;
  }

  pollTimeout(): Instant | undefined {
    return undefined;
  }

  handleTimeout(): void {}

  #use(pair: Pair, nomination: Nomination, now: Instant): void {
    if (pair !== this.#context.path()?.pair) this.#context.select(pair, nomination, now);
  }
}
