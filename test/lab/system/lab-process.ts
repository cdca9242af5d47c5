import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { delimiter } from 'node:path';

export interface SpawnOptions {
  /** `inherit` gives it this process's own terminal; otherwise its output is collected. */
  readonly stdio?: 'collect' | 'inherit';
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Given on standard input, which then ends. Without it, standard input stays open for `write`. */
  readonly input?: string;
  /** Is told each whole line of standard output as it comes. */
  readonly onLine?: (line: string) => void;
}

/** How a process ended: its exit code, or 128 and the signal's number, as a shell has it. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** As much output as is kept of one process, in characters; the end of it. */
const MAX_OUTPUT = 1 << 20;

/** A process of the laboratory. Its output is collected, and can be waited for line by line. */
export class LabProcess {
  readonly argv: readonly string[];
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();
  readonly #onLine: ((line: string) => void) | undefined;
  /** The begin of a line of which the rest has not come. */
  #begun = '';
  #stdout = '';
  #stderr = '';
  #over = false;

  constructor(argv: readonly [string, ...string[]], options: SpawnOptions = {}) {
    const [program, ...args] = argv;
    this.argv = argv;
    this.#onLine = options.onLine;
    const stdio = options.stdio === 'inherit' ? 'inherit' : 'pipe';
    this.#child = spawn(program, args, { stdio, env: { ...environment(), ...options.env } });
    // It may end before it has read everything; how it ended says more than a broken pipe.
    this.#child.stdin?.on('error', () => this.#child.stdin?.destroy());
    if (options.input !== undefined) this.#child.stdin?.end(options.input);
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout = (this.#stdout + text).slice(-MAX_OUTPUT);
      this.#passLines(text);
      this.#wake();
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-MAX_OUTPUT);
    });
    this.ended = new Promise((resolve) => {
      const finish = (code: number) => {
        this.#over = true;
        this.#wake();
        resolve({ code, stdout: this.#stdout, stderr: this.#stderr });
      };
      this.#child.once('error', (error) => {
        this.#stderr += error.message;
        finish(127);
      });
      this.#child.once('close', (code, signal) =>
        finish(code ?? 128 + constants.signals[signal ?? 'SIGKILL']),
      );
    });
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`'${this.argv.join(' ')}' did not start`);
    return this.#child.pid;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get over(): boolean {
    return this.#over;
  }

  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  /** Ends its standard input, which is how the laboratory's own helpers are told to end. */
  endInput(): void {
    this.#child.stdin?.end();
  }

  kill(signal: NodeJS.Signals = 'SIGTERM'): void {
    this.#child.kill(signal);
  }

  /** What `find` makes of its standard output so far, as soon as that is something. Throws when it ends or `ms` pass before. */
  async output<T>(find: (stdout: string) => T | undefined, ms = 10_000): Promise<T> {
    const deadline = performance.now() + ms;
    while (true) {
      const late = performance.now() >= deadline;
      const found = find(this.#stdout);
      if (found !== undefined) return found;
      if (this.#over || late) throw this.#silence(ms);
      await this.#change(deadline - performance.now());
    }
  }

  /** The first line of its standard output that begins with `start`. */
  line(start: string, ms?: number): Promise<string> {
    return this.output((stdout) => wholeLines(stdout).find((line) => line.startsWith(start)), ms);
  }

  #passLines(text: string): void {
    if (this.#onLine === undefined) return;
    const lines = (this.#begun + text).split('\n');
    this.#begun = lines.pop() ?? '';
    for (const line of lines) this.#onLine(line);
  }

  #silence(ms: number): Error {
    const why = this.#over ? 'ended before it said what was expected' : `did not say it within ${ms} ms`;
    return new Error(
      `'${this.argv.join(' ')}' ${why}: ${this.#stdout.slice(-2000)}${this.#stderr.slice(-2000)}`,
    );
  }

  #change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      // What arrived while this process was busy is read between a timer and what it has put off.
      const timer = setTimeout(() => setImmediate(done), ms);
      this.#waiting.add(done);
    });
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }
}

export function wholeLines(text: string): string[] {
  return text.split('\n').slice(0, -1);
}

/**
 * With the tools of administrators, which are not in everybody's path, and without npm's: a package may bring a program that is
 * called as one of the system's.
 */
export function environment(): NodeJS.ProcessEnv {
  const own = (process.env.PATH ?? '/usr/bin:/bin').split(delimiter);
  const folders = own.filter((folder) => !folder.includes('node_modules'));
  return { ...process.env, PATH: [...folders, '/usr/local/sbin', '/usr/sbin', '/sbin'].join(delimiter) };
}
