import { setTimeout as sleep } from 'node:timers/promises';
import type { Trouble, TroubleKind } from './events.ts';
import { residentMemory, type Sample } from './memory.ts';
import { perform, prepare, until } from './perform.ts';
import type { Event, Played } from './report.ts';
import { type Planned, Schedule, secondsOf } from './schedule.ts';
import type { ChaosStage } from './stage.ts';

/** All in milliseconds. */
const SAMPLE_EVERY = 2000;
/** The traffic runs so long undisturbed before the first event. */
const CALM = 5000;
/** No event lasts into the end: what it has done must show. */
const AFTERWARDS = 20_000;
/** All connections end in order within that. */
const FAREWELL = 30_000;

export interface ChaosOptions {
  readonly ms: number;
  /** Of the link, in seconds: so long recovery is waited for. */
  readonly grace: number;
  readonly kinds: readonly TroubleKind[];
  /** These first, before the schedule. */
  readonly first?: readonly Trouble[];
  /** Is told as soon as an event and its recovery are over. */
  readonly onEvent?: (event: Event) => void;
}

/** Traffic, and one event after another, for as long as was asked; then all connections end in order. */
export async function playChaos(stage: ChaosStage, options: ChaosOptions): Promise<Played> {
  const begun = await stage.startTraffic();
  const samples: Sample[] = [];
  const sampling = setInterval(() => {
    // No minute begins with the farewell.
    if (Date.now() - begun < options.ms) sample(stage, begun, samples);
  }, SAMPLE_EVERY);
  try {
    const events = await trouble(stage, options, begun + options.ms);
    await until(() => stage.deaths.length > 0, begun + options.ms - Date.now());
    clearInterval(sampling);
    const ended = Date.now();
    const problems = [...stage.deaths];
    if (!(await stage.finishTraffic(FAREWELL)))
      problems.push('not every connection ended when it was asked to');
    stage.ledger.close(Date.now());
    const { seed, flows } = stage.options;
    return {
      seed,
      begun,
      ended,
      events: withEnds(events, ended),
      samples,
      flows,
      grace: options.grace,
      problems,
    };
  } finally {
    clearInterval(sampling);
  }
}

type Begun = Omit<Event, 'until'>;

/** @param end as Date.now() has it */
async function trouble(stage: ChaosStage, options: ChaosOptions, end: number): Promise<Begun[]> {
  const events: Begun[] = [];
  await sleep(CALM);
  for (const planned of planFor(stage, options)) {
    await prepare(stage, planned.trouble);
    if (Date.now() + secondsOf(planned.trouble) * 1000 + AFTERWARDS > end || stage.deaths.length > 0) break;
    const performed = await perform(stage, planned.trouble);
    // The next one comes only when this one is overcome: together they might take longer than the grace.
    await until(
      () => stage.ledger.moves('tcp', performed.to) || stage.deaths.length > 0,
      options.grace * 1000,
    );
    await sleep(planned.pause * 1000);
    const { how } = stage.paths.subscriber;
    const event = { ...performed, number: events.length + 1, trouble: planned.trouble, path: how };
    events.push(event);
    options.onEvent?.({ ...event, until: Date.now() });
  }
  return events;
}

function* planFor(
  stage: ChaosStage,
  { first = [], kinds }: ChaosOptions,
): Generator<Omit<Planned, 'number'>> {
  for (const trouble of first) yield { trouble, pause: 3 };
  const schedule = new Schedule(stage.options.seed, kinds);
  for (let next = schedule.next(); next !== undefined; next = schedule.next()) yield next;
}

function withEnds(events: readonly Begun[], ended: number): Event[] {
  return events.map((event, index) => ({ ...event, until: events[index + 1]?.from ?? ended }));
}

function sample(stage: ChaosStage, begun: number, samples: Sample[]): void {
  for (const program of ['publisher', 'subscriber', 'server'] as const) {
    const resident = residentMemory(stage.process(program).pid);
    if (resident !== undefined) samples.push({ at: Date.now() - begun, program, resident });
  }
}
