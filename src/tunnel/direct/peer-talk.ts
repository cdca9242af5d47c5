import { asUnderpassError, type UnderpassError } from '../../errors.ts';
import type { Prediction } from '../../punch/round.ts';
import {
  type PeerCandidate,
  PeerMessages,
  type PeerMessagesOptions,
  type SealedMessage,
} from '../../signaling/peer-message.ts';

export interface PeerTalkHandler {
  send(message: SealedMessage): void;
  onCandidate(candidate: PeerCandidate): void;
  /** Where the peer will be found in the step of that number. */
  onPrediction(step: number, prediction: Prediction): void;
  /** Somebody between the peers has changed or repeated a message. Said once. */
  onTampering(error: UnderpassError): void;
}

/** Addresses of the peer's that are remembered for the next search; the latest ones count. */
const MAX_REMEMBERED = 16;

/** Addresses of our own that one link is ever told: a laptop that travels for a week has not so many. */
const MAX_TOLD = 64;

/** What the two ends of a link tell each other through the server about where they are, each message under its own MAC. */
export class PeerTalk {
  readonly #messages: PeerMessages;
  readonly #handler: PeerTalkHandler;
  readonly #told = new Set<string>();
  readonly #heard = new Map<string, PeerCandidate>();
  #complained = false;

  constructor(options: PeerMessagesOptions, handler: PeerTalkHandler) {
    this.#messages = new PeerMessages(options);
    this.#handler = handler;
  }

  /** Where the peer has said that it is, the latest last. */
  get heard(): Iterable<PeerCandidate> {
    return this.#heard.values();
  }

  /** Tells the peer what it has not been told before. */
  tell(candidates: readonly PeerCandidate[]): void {
    const news = candidates.filter((candidate) => !this.#told.has(keyOf(candidate)));
    const room = news.slice(0, MAX_TOLD - this.#told.size);
    for (const candidate of room) this.#told.add(keyOf(candidate));
    for (const message of this.#messages.sealCandidates(room)) this.#handler.send(message);
  }

  /** Tells the peer what it may have missed. */
  tellAgain(candidates: readonly PeerCandidate[]): void {
    for (const candidate of candidates) this.#told.delete(keyOf(candidate));
    this.tell(candidates);
  }

  predict(step: number, prediction: Prediction): void {
    this.#handler.send(this.#messages.seal({ kind: 'prediction', step, prediction }));
  }

  receive(message: SealedMessage): void {
    const body = this.#open(message);
    if (body?.kind === 'candidates') for (const candidate of body.candidates) this.#hear(candidate);
    if (body?.kind === 'prediction') this.#handler.onPrediction(body.step, body.prediction);
  }

  #open(message: SealedMessage): ReturnType<PeerMessages['open']> {
    try {
      return this.#messages.open(message);
    } catch (error) {
      if (!this.#complained) this.#handler.onTampering(asUnderpassError(error));
      this.#complained = true;
      return undefined;
    }
  }

  #hear(candidate: PeerCandidate): void {
    const key = keyOf(candidate);
    this.#heard.delete(key);
    this.#heard.set(key, candidate);
    for (const oldest of this.#heard.keys()) {
      if (this.#heard.size <= MAX_REMEMBERED) break;
      this.#heard.delete(oldest);
    }
    this.#handler.onCandidate(candidate);
  }
}

function keyOf({ kind, address, port }: PeerCandidate): string {
  return `${kind} ${address} ${port}`;
}
