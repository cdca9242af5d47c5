import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

const ROOT = join(import.meta.dirname, '..', '..');

/** The built program. */
export const MAIN = join(ROOT, 'dist', 'cli', 'main.js');

/** One line of `--json`. */
export type JsonEvent = { readonly event: string; readonly time: string } & Readonly<Record<string, unknown>>;

export interface ProgramOptions {
  /** HOME of the process: whose identity and whose files it uses. */
  readonly home: string;
  readonly env?: Readonly<Record<string, string>>;
  /** For Node itself, before the script. */
  readonly nodeArgs?: readonly string[];
  readonly cwd?: string;
  /** Whether `type` is to be used. Default false: standard input is empty. */
  readonly typing?: boolean;
}

const TIMEOUT = 20_000;

/** Every process of this worker that still runs: if the worker ends early, they end with it. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A real process, what it printed, and its `--json` events. */
export class Program {
  stdout = '';
  stderr = '';
  readonly events: JsonEvent[] = [];
  /** Resolves with the exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  readonly #child: ChildProcess;
  readonly #label: string;
  readonly #watchers = new Set<() => void>();
  /** Events before this one were waited for already. */
  #cursor = 0;
  #ended = false;

  /** @param script `MAIN`, or another script to run with Node */
  constructor(
    script: string,
    args: readonly string[],
    { home, env, nodeArgs = [], cwd, typing }: ProgramOptions,
  ) {
    this.#label = args.join(' ');
    const { PATH = '', UNDERPASS_CI_MARK } = process.env;
    const mark = UNDERPASS_CI_MARK === undefined ? {} : { UNDERPASS_CI_MARK };
    this.#child = spawn(process.execPath, [...nodeArgs, script, ...args], {
      cwd: cwd ?? home,
      env: { PATH, HOME: home, USERPROFILE: home, ...mark, ...env },
      stdio: [typing ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    });
    running.add(this.#child);
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#onOutput(text));
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#look();
    });
    this.exited = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        running.delete(this.#child);
        this.#ended = true;
        resolve(code ?? signal ?? -1);
        this.#look();
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get output(): string {
    return `--- ${this.#label}\n${this.stdout}${this.stderr}`;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Writes a line to its standard input. */
  type(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  /** Kills the process and waits until it is gone. */
  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | NodeJS.Signals> {
    this.kill(signal);
    return this.exited;
  }

  /** Resolves with the exit code; fails when the program stays. */
  async exit(): Promise<number | NodeJS.Signals> {
    await this.until(() => this.#ended, 'exit');
    return this.exited;
  }

  /** The next event, after those already waited for, with this name and these fields. */
  async event(
    event: string,
    fields: Readonly<Record<string, unknown>> = {},
    ms = TIMEOUT,
  ): Promise<JsonEvent> {
    const wanted = Object.entries({ event, ...fields });
    const matches = (seen: JsonEvent) => wanted.every(([key, value]) => isDeepStrictEqual(seen[key], value));
    let index = -1;
    await this.until(
      () => {
        index = this.events.findIndex((seen, at) => at >= this.#cursor && matches(seen));
        return index >= 0;
      },
      JSON.stringify(Object.fromEntries(wanted)),
      ms,
    );
    this.#cursor = index + 1;
    return this.events[index] as JsonEvent;
  }

  /** Waits for something in what the program prints. */
  async until(condition: () => boolean, what: string, ms = TIMEOUT): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(watcher);
        settle();
      };
      const fail = (why: string) => finish(() => reject(new Error(`${why} ${what}\n${this.output}`)));
      const watcher = () => {
        if (condition()) finish(resolve);
        else if (this.#ended) fail('the program ended before');
      };
      const timer = setTimeout(() => fail('timed out waiting for'), ms);
      this.#watchers.add(watcher);
      watcher();
    });
  }

  #onOutput(text: string): void {
    const before = this.stdout.lastIndexOf('\n') + 1;
    this.stdout += text;
    const end = this.stdout.lastIndexOf('\n') + 1;
    for (const line of this.stdout.slice(before, end).split('\n')) {
      if (line.startsWith('{')) this.events.push(JSON.parse(line));
    }
    this.#look();
  }

  #look(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}
