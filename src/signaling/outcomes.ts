import type { Instant } from '../machine.ts';
import type { PunchPlan, PunchStep } from './punch-plan.ts';

/** How long it is remembered what came of a search, in milliseconds. */
const LASTS = 3_600_000;

/** Beyond that the one of longest ago is forgotten. */
const MAX_REMEMBERED = 4096;

/** Ways that take hundreds of packets and of places in routers' tables. */
const BURDENSOME: readonly string[] = ['birthday', 'sweep'];

interface Outcome {
  readonly at: Instant;
  /** Which of the plan's steps has led to a path; undefined where none did. */
  readonly found: number | undefined;
}

/** What came of the searches between two public networks, so that nobody is burdened again with what is known to be in vain. */
export class Outcomes {
  /** The longest ago first. */
  readonly #outcomes = new Map<string, Outcome>();

  get size(): number {
    return this.#outcomes.size;
  }

  /** The plan with what worked the last time first, or without burdensome steps if nothing did. @param addresses of both, in any order */
  adapt(addresses: readonly string[], plan: PunchPlan, now: Instant): PunchPlan {
    const known = this.#outcomes.get(keyOf(addresses, plan));
    if (known === undefined || now - known.at >= LASTS) return plan;
    const { steps } = plan;
    if (known.found === undefined) return { ...plan, steps: steps.filter((step) => !isBurdensome(step)) };
    const found = steps[known.found];
    return found ? { ...plan, steps: [found, ...steps.filter((step) => step !== found)] } : plan;
  }

  /** @param plan as it was before it was adapted; `found`, its step that has led to a path, if one did */
  remember(addresses: readonly string[], plan: PunchPlan, found: PunchStep | undefined, now: Instant): void {
    const key = keyOf(addresses, plan);
    this.#outcomes.delete(key);
    this.#outcomes.set(key, { at: now, found: found && plan.steps.indexOf(found) });
    for (const oldest of this.#outcomes.keys()) {
      if (this.#outcomes.size <= MAX_REMEMBERED) return;
      this.#outcomes.delete(oldest);
    }
  }
}

export function isBurdensome({ strategies }: PunchStep): boolean {
  return strategies.some((strategy) => BURDENSOME.includes(strategy));
}

/** Another kind of plan: the NATs are no longer what they were. */
function keyOf(addresses: readonly string[], { steps }: PunchPlan): string {
  return JSON.stringify([addresses.toSorted(), steps.map(({ strategies }) => strategies)]);
}
