import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Handlers, Worker } from './rpc.ts';

/** What one measurement runs on: its processes, which end with it, and a folder, which goes with it. */
export class Stage {
  /** Rejects when a process has ended by itself: whatever is being measured is worth nothing then. */
  readonly failed: Promise<never>;
  readonly #folder = mkdtempSync(join(tmpdir(), 'underpass-bench-'));
  readonly #children = new Set<ChildProcess>();
  readonly #onExit = () => this.close();
  #fail: (error: Error) => void = () => {};
  #folders = 0;

  constructor() {
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Somebody may look only after it has happened.
    this.failed.catch(() => undefined);
    process.on('exit', this.#onExit);
  }

  /** A new folder of its own. */
  folder(): string {
    this.#folders += 1;
    const folder = join(this.#folder, String(this.#folders));
    mkdirSync(folder);
    return folder;
  }

  /** Starts Node with an IPC channel; standard output can be read, and errors are shown. */
  spawn(argv: readonly string[], environment: Readonly<Record<string, string>> = {}): ChildProcess {
    const child = spawn(process.execPath, argv, {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      env: { PATH: process.env.PATH, ...environment },
    });
    this.#children.add(child);
    child.on('error', (error) => this.#fail(error));
    child.on('exit', (code, signal) => {
      if (this.#children.delete(child)) {
        this.#fail(new Error(`'${argv.join(' ')}' ended with ${signal ?? code}`));
      }
    });
    return child;
  }

  /** Starts a file of the bench, given from its root, as `load/client`. */
  worker<H extends Handlers>(file: string, ...argv: readonly string[]): Worker<H> {
    const child = this.spawn(['--expose-gc', join(import.meta.dirname, '..', `${file}.js`), ...argv]);
    child.stdout?.resume();
    return new Worker<H>(child);
  }

  close(): void {
    process.off('exit', this.#onExit);
    for (const child of this.#children) {
      this.#children.delete(child);
      child.kill('SIGKILL');
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
