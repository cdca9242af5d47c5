import { Random } from '../../support/random.ts';
import { drawTrouble, type Trouble, type TroubleKind } from './events.ts';

export interface Planned {
  /** From 1. */
  readonly number: number;
  readonly trouble: Trouble;
  /** Seconds of peace after everything moves again. */
  readonly pause: number;
}

const SHORTEST_PAUSE = 4;
const LONGEST_PAUSE = 12;

/**
 * What happens, one after another: the same for the same seed and kinds, whatever the programs do meanwhile; only when it happens
 * depends on how fast they recover. The kinds come in rounds, each once a round, in an order that is drawn.
 */
export class Schedule {
  readonly #random: Random;
  readonly #kinds: readonly TroubleKind[];
  #round: TroubleKind[] = [];
  #count = 0;

  constructor(seed: number, kinds: readonly TroubleKind[]) {
    this.#random = new Random(seed);
    this.#kinds = kinds;
  }

  /** Undefined where there are no kinds. */
  next(): Planned | undefined {
    if (this.#round.length === 0) this.#round = shuffle(this.#kinds, this.#random);
    const kind = this.#round.shift();
    if (kind === undefined) return undefined;
    this.#count += 1;
    const trouble = drawTrouble(kind, this.#random);
    const pause = SHORTEST_PAUSE + this.#random.integer(LONGEST_PAUSE - SHORTEST_PAUSE + 1);
    return { number: this.#count, trouble, pause };
  }
}

/** How long an event lasts, in seconds; those that are over at once count as nothing. */
export function secondsOf(trouble: Trouble): number {
  return 'seconds' in trouble ? trouble.seconds : 0;
}

/** What fits into so many seconds if everything recovered at once, with the time of each. */
export function outline(
  schedule: Schedule,
  seconds: number,
): { readonly at: number; readonly planned: Planned }[] {
  const found: { at: number; planned: Planned }[] = [];
  for (let at = 0; ; ) {
    const planned = schedule.next();
    if (planned === undefined) return found;
    const over = at + secondsOf(planned.trouble);
    if (over > seconds) return found;
    found.push({ at, planned });
    at = over + planned.pause;
  }
}

function shuffle<T>(values: readonly T[], random: Random): T[] {
  const left = [...values];
  const shuffled: T[] = [];
  while (left.length > 0) shuffled.push(...left.splice(random.integer(left.length), 1));
  return shuffled;
}
