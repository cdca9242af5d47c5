import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { MemoryProbe } from './memory-probe.ts';
import { Worker } from './rpc.ts';
import type { Stage } from './stage.ts';

const PROBE = join(import.meta.dirname, 'memory-probe.js');

export const SECRET = 'the secret of the bench, long enough';

export type ProgramEvent = Readonly<Record<string, unknown>>;

/** The real program, running and ready. */
export interface Program {
  readonly pid: number;
  /** Its `ready` event. */
  readonly ready: ProgramEvent;
  readonly probe: Worker<MemoryProbe>;
  /** Where it keeps its files. */
  readonly home: string;
  /** The first event, of all since the start, that has this name and these fields. */
  event(name: string, fields?: ProgramEvent): Promise<ProgramEvent>;
  /** Waits until the latest event of this name has these fields. */
  latest(name: string, fields: ProgramEvent): Promise<ProgramEvent>;
}

/** Starts `underpass <argv>` with a home of its own, and waits until it says that it is ready. */
export async function startProgram(stage: Stage, ...argv: readonly string[]): Promise<Program> {
  const home = stage.folder();
  const child = stage.spawn(
    ['--expose-gc', '--import', PROBE, stage.program, ...argv, '--json', '--log-level', 'error'],
    { HOME: home, UNDERPASS_SECRET: SECRET },
  );
  const probe = new Worker<MemoryProbe>(child);
  const events: ProgramEvent[] = [];
  const lines = createInterface({ input: child.stdout ?? process.stdin });
  lines.on('line', (line) => events.push(JSON.parse(line)));
  const until = async (find: () => ProgramEvent | undefined): Promise<ProgramEvent> => {
    while (true) {
      const failure = events.find(({ event, retry }) => event === 'error' && retry !== true);
      if (failure !== undefined) throw new Error(`underpass ${argv.join(' ')}: ${failure.message}`);
      const found = find();
      if (found !== undefined) return found;
      await Promise.race([once(lines, 'line'), stage.failed]);
    }
  };
  const event = (name: string, fields: ProgramEvent = {}) =>
    until(() => events.find((one) => one.event === name && has(one, fields)));
  const latest = (name: string, fields: ProgramEvent) =>
    until(() => {
      const last = events.findLast((one) => one.event === name);
      return last !== undefined && has(last, fields) ? last : undefined;
    });
  return { pid: probe.pid, ready: await event('ready'), probe, home, event, latest };
}

function has(event: ProgramEvent, fields: ProgramEvent): boolean {
  return Object.entries(fields).every(([field, value]) => event[field] === value);
}
