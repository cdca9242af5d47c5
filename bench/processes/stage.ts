import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environment } from '../../test/lab/system/lab-process.ts';
import { createNamespaces, inside, removeNamespaces } from '../../test/lab/system/namespaces.ts';
import { newPrefix } from '../../test/lab/system/owner.ts';
import { type Handlers, Worker } from './rpc.ts';

/** The program, as `npm run build` leaves it. */
const PROGRAM = join(import.meta.dirname, '..', '..', '..', '..', 'dist', 'cli', 'main.js');

/** What one measurement runs on: its processes, which end with it, and a folder, which goes with it. */
export class Stage {
  /** Rejects when a process has ended by itself: whatever is being measured is worth nothing then. */
  readonly failed: Promise<never>;
  readonly #folder = mkdtempSync(join(tmpdir(), 'underpass-bench-'));
  readonly #children = new Set<ChildProcess>();
  readonly #onExit = () => this.close();
  #fail: (error: Error) => void = () => {};
  #folders = 0;
  /** Where processes are started, and which of them is this one's. */
  #namespace: string | undefined;
  #program = PROGRAM;
  #ownNamespace: string | undefined;

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

  /** The file of the program that `startProgram` starts. */
  get program(): string {
    return this.#program;
  }

  /** Programs that are started from now on are of another build. */
  use(program = PROGRAM): void {
    this.#program = program;
  }

  /** Everything that is started from now on is in this network namespace. */
  enter(namespace: string): void {
    this.#namespace = namespace;
  }

  /** Enters a network that has nothing but loopback. Needs what the laboratory needs. */
  isolate(): void {
    const namespace = `${newPrefix()}bench`;
    createNamespaces([namespace], []);
    this.#ownNamespace = namespace;
    this.enter(namespace);
    this.command(['ip', 'link', 'set', 'lo', 'up']);
  }

  /** Runs a command of the system to its end, where processes are started. */
  command(argv: readonly [string, ...string[]], input = ''): void {
    const [program, ...args] = this.#placed(argv);
    execFileSync(program, args, { input, env: environment(), stdio: ['pipe', 'ignore', 'inherit'] });
  }

  /** Starts Node with an IPC channel; standard output can be read, and errors are shown. */
  spawn(argv: readonly string[], variables: Readonly<Record<string, string>> = {}): ChildProcess {
    const [program, ...args] = this.#placed([process.execPath, ...argv]);
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      env: { PATH: environment().PATH, ...variables },
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
  worker<H extends Handlers>(file: string): Worker<H> {
    const child = this.spawn(['--expose-gc', join(import.meta.dirname, '..', `${file}.js`)]);
    child.stdout?.resume();
    return new Worker<H>(child);
  }

  close(): void {
    process.off('exit', this.#onExit);
    for (const child of this.#children) {
      this.#children.delete(child);
      child.kill('SIGKILL');
    }
    if (this.#ownNamespace !== undefined) removeNamespaces([this.#ownNamespace]);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #placed(argv: readonly [string, ...string[]]): [string, ...string[]] {
    return this.#namespace === undefined ? [...argv] : inside(this.#namespace, argv);
  }
}
