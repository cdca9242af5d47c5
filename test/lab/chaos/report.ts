import { describeTrouble, type Trouble } from './events.ts';
import type { Failure, Ledger, Pause } from './ledger.ts';
import { minutesOf, type Sample } from './memory.ts';
import type { Performed } from './perform.ts';
import { type Datagrams, PAUSE } from './traffic/said.ts';

/** Milliseconds after an event's end within which an echo has to be back. */
export const ECHO_WITHIN = 15_000;
/** Memory in the last minute, over that of the second. */
export const GROWTH = 1.2;
const DEMANDED_MINUTES = 10;
const WATCHED = ['publisher', 'subscriber'] as const;

/** One event that was performed. */
export interface Event extends Performed {
  readonly number: number;
  readonly trouble: Trouble;
  /** The path once everything had recovered. */
  readonly path: string;
  /** When the next one began, or the run ended. */
  readonly until: number;
}

/** What the whole run was. Times are Date.now()'s. */
export interface Played {
  readonly seed: number;
  readonly begun: number;
  readonly ended: number;
  readonly events: readonly Event[];
  readonly samples: readonly Sample[];
  readonly flows: number;
  /** In seconds. */
  readonly grace: number;
  /** What ended that must not. */
  readonly problems: readonly string[];
}

/** What came of one event, in milliseconds. */
export interface Row {
  readonly number: number;
  readonly what: string;
  /** After the traffic began. */
  readonly at: number;
  readonly lasted: number;
  readonly note: string;
  readonly path: string;
  /** The longest time that a TCP connection stood still. */
  readonly pause: number;
  /** From the event's end until the last TCP connection moved again, or had failed; null: one did neither. */
  readonly recovered: number | null;
  /** From the event's end until each flow had an echo; null: one had none. */
  readonly echoed: number | null;
  readonly datagrams: Datagrams;
  readonly failures: number;
}

export interface Report {
  readonly rows: readonly Row[];
  readonly connections: Ledger['connections'];
  readonly bytes: number;
  readonly datagrams: Datagrams;
  /** Median of each minute, in bytes. */
  readonly memory: Readonly<Record<string, readonly (number | undefined)[]>>;
  readonly failures: readonly Failure[];
  /** What was demanded and not met. */
  readonly complaints: readonly string[];
}

export function reportOf(played: Played, ledger: Ledger): Report {
  const rows = played.events.map((event) => rowOf(event, played, ledger));
  const programs = [...new Set(played.samples.map(({ program }) => program))];
  const memory = Object.fromEntries(programs.map((each) => [each, minutesOf(played.samples, each)]));
  const { connections, bytes, datagrams, failures } = ledger;
  const complaints = [
    ...played.problems,
    ...complaintsOfConnections(failures, ledger),
    ...rows.flatMap((row) => complaintsOfRow(row, played)),
    ...(datagrams.corrupted > 0 ? [`${datagrams.corrupted} datagrams were corrupted`] : []),
    ...WATCHED.flatMap((program) => growth(program, memory[program] ?? [])),
  ];
  return { rows, connections, bytes, datagrams, memory, failures, complaints };
}

function rowOf(event: Event, { begun }: Played, ledger: Ledger): Row {
  const { number, trouble, from, to, note, path, until } = event;
  const [before, after] = [ledger.datagramsAt(from), ledger.datagramsAt(until)];
  const difference = (what: keyof Datagrams) => after[what] - before[what];
  const pauses = [...ledger.pauses, ...ongoing(ledger, until)].filter(
    // The last byte before an event came a little earlier than the event.
    (pause) => pause.from < until - PAUSE && pause.to >= from,
  );
  const tcp = pauses.filter(({ kind }) => kind === 'tcp');
  return {
    number,
    what: describeTrouble(trouble),
    at: from - begun,
    lasted: to - from,
    note,
    path,
    pause: Math.max(0, ...tcp.map((pause) => pause.to - pause.from)),
    recovered: recovery(tcp, to),
    echoed: recovery(
      pauses.filter(({ kind }) => kind === 'udp'),
      to,
    ),
    datagrams: {
      sent: difference('sent'),
      echoed: difference('echoed'),
      duplicates: difference('duplicates'),
      corrupted: difference('corrupted'),
    },
    failures: ledger.failures.filter(({ at }) => at >= from && at < until).length,
  };
}

/** What stood still when the run ended stands still for ever. */
function ongoing(ledger: Ledger, until: number): Pause[] {
  return ledger.stalled
    .filter(({ since }) => since < until)
    .map(({ kind, teller, id, since }) => ({ kind, teller, id, from: since, to: Number.POSITIVE_INFINITY }));
}

/** Only pauses that had begun by then: others have another cause. */
function recovery(pauses: readonly Pause[], to: number): number | null {
  const last = Math.max(to, ...pauses.filter(({ from }) => from <= to + PAUSE).map((pause) => pause.to));
  return Number.isFinite(last) ? last - to : null;
}

function complaintsOfConnections(failures: readonly Failure[], ledger: Ledger): string[] {
  const counts = new Map<string, number>();
  for (const { what } of failures) counts.set(what, (counts.get(what) ?? 0) + 1);
  const found = [...counts].map(([what, count]) => `${count} connections: ${what}`);
  return ledger.bytes === 0 ? [...found, 'no byte arrived at all'] : found;
}

function complaintsOfRow(
  { number, what, pause, recovered, echoed }: Row,
  { flows, grace }: Played,
): string[] {
  const found: string[] = [];
  if (recovered === null || pause > grace * 1000) {
    found.push(`a connection stood still for longer than the grace of ${grace} s`);
  }
  if (flows > 0 && (echoed === null || echoed > ECHO_WITHIN)) {
    found.push(`a UDP flow had no echo within ${ECHO_WITHIN / 1000} s of its end`);
  }
  return found.map((complaint) => `event ${number} (${what}): ${complaint}`);
}

/** Demanded of ten minutes: a shorter run may end before the programs have grown as large as they get. */
function growth(program: string, minutes: readonly (number | undefined)[]): string[] {
  const ratio = growthOf(minutes);
  if (minutes.length < DEMANDED_MINUTES || ratio === undefined || ratio <= GROWTH) return [];
  return [`the ${program}'s memory in minute ${minutes.length} is ${ratio.toFixed(2)} × that of minute 2`];
}

/** The last minute over the second; undefined where there is no third. The first is for warming up. */
export function growthOf(minutes: readonly (number | undefined)[]): number | undefined {
  const [second, last] = [minutes[1], minutes.at(-1)];
  return minutes.length < 3 || second === undefined || last === undefined ? undefined : last / second;
}
