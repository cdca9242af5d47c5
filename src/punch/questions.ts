import type { Instant } from '../machine.ts';
import { type Endpoint, sameEndpoint } from '../net/endpoint.ts';
import type { Nomination } from './probe.ts';

/** An answer that took longer is of no use, in milliseconds. */
const PATIENCE = 5000;

/** A birthday search has some 1,500 under way; the oldest are forgotten first. */
const MAX_QUESTIONS = 2048;

export interface Question {
  readonly socket: number;
  readonly to: Endpoint;
  readonly nomination: Nomination | undefined;
  readonly sentAt: Instant;
}

/** The probes of ours that wait for an answer. Each is answered once, on its own socket, from where it went. */
export class Questions {
  /** By transaction id, the oldest first. */
  readonly #open = new Map<string, Question>();

  add(transactionId: Buffer, question: Question): void {
    this.#open.set(keyOf(transactionId), question);
    for (const [key, { sentAt }] of this.#open) {
      if (this.#open.size <= MAX_QUESTIONS && question.sentAt - sentAt < PATIENCE) return;
      this.#open.delete(key);
    }
  }

  /** The question that this is the answer to; undefined where it is none of ours, late, or from elsewhere. */
  take(transactionId: Buffer, socket: number, from: Endpoint, now: Instant): Question | undefined {
    const key = keyOf(transactionId);
    const question = this.#open.get(key);
    if (question?.socket !== socket || !sameEndpoint(question.to, from)) return undefined;
    this.#open.delete(key);
    return now - question.sentAt < PATIENCE ? question : undefined;
  }
}

function keyOf(transactionId: Buffer): string {
  return transactionId.toString('latin1');
}
