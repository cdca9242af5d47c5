import type { Instant } from '../machine.ts';
import type { ActivePath } from './active-path.ts';
import type { Pair } from './pair.ts';
import type { Nomination, Probe } from './probe.ts';
import type { Question } from './questions.ts';
import type { Strategy } from './strategies.ts';

/** What agreeing on a pair needs to know and to do. */
export interface AgreementContext {
  pairs(): readonly Pair[];
  /** What is agreed on. */
  path(): ActivePath | undefined;
  isProven(pair: Pair, now: Instant): boolean;
  nameOf(pair: Pair): Strategy;
  /** Whether it is worth waiting for a pair of this kind. */
  isExpected(pair: Pair): boolean;
  ask(pair: Pair, nomination: Nomination, now: Instant): void;
  /** This pair is used from now on. */
  select(pair: Pair, nomination: Nomination, now: Instant): void;
}

/** One side's part in using the same pair as the other side: the subscriber chooses, the publisher follows. */
export interface Agreement {
  /** The latest choice. Heartbeats repeat it, so that each side follows where the other one comes from. */
  readonly nomination: Nomination | undefined;
  /** A new step begins. */
  begin(): void;
  /** Both sides probe, and a choice may be due. */
  consider(now: Instant): void;
  /** A probe of ours on this pair was answered. */
  answered(pair: Pair, question: Question, answer: Probe, now: Instant): void;
  /** The peer has named a choice on this pair. Whether it is used. */
  heard(pair: Pair, nomination: Nomination, now: Instant): boolean;
  pollTimeout(): Instant | undefined;
  handleTimeout(now: Instant): void;
}
