import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { MemoryProbe } from './memory-probe.ts';
import { Worker } from './rpc.ts';
import type { Stage } from './stage.ts';

const MAIN = join(import.meta.dirname, '..', '..', '..', 'dist', 'cli', 'main.js');
const PROBE = join(import.meta.dirname, 'memory-probe.js');

export const SECRET = 'the secret of the bench, long enough';

/** The real program, running and ready. */
export interface Program {
  readonly pid: number;
  /** Its `ready` event. */
  readonly ready: Readonly<Record<string, unknown>>;
  readonly probe: Worker<MemoryProbe>;
  /** Where it keeps its files. */
  readonly home: string;
}

/** Starts `underpass <argv>` with a home of its own, and waits until it says that it is ready. */
export async function startProgram(stage: Stage, ...argv: readonly string[]): Promise<Program> {
  const home = stage.folder();
  const child = stage.spawn(
    ['--expose-gc', '--import', PROBE, MAIN, ...argv, '--json', '--log-level', 'error'],
    { HOME: home, UNDERPASS_SECRET: SECRET },
  );
  const probe = new Worker<MemoryProbe>(child);
  const lines = createInterface({ input: child.stdout ?? process.stdin });
  while (true) {
    const [line] = await Promise.race([once(lines, 'line'), stage.failed]);
    const event = JSON.parse(line);
    if (event.event === 'error') throw new Error(`underpass ${argv.join(' ')}: ${event.message}`);
    if (event.event === 'ready') return { pid: probe.pid, ready: event, probe, home };
  }
}
