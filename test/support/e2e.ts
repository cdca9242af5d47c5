import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test as base } from 'vitest';
import { MAIN, Program, type ProgramOptions } from './e2e-program.ts';
import { type Listener, listen, Wire } from './e2e-tcp.ts';

export { type JsonEvent, MAIN, Program } from './e2e-program.ts';
export { echo, freePort, type Listener, Wire } from './e2e-tcp.ts';

/** A name and a secret that are as good as any. */
export const NAME = 'my-game';
export const SECRET = 'a-secret-of-the-tests-0123456789';

export interface ServerOptions {
  readonly scheme?: 'ws' | 'wss';
  /** Default: any free one. */
  readonly port?: number;
  /** The user who runs it. A server that comes back with the same one keeps its certificate. */
  readonly user?: string;
  /** The text of its configuration file. */
  readonly config?: string;
  readonly args?: readonly string[];
  readonly nodeArgs?: readonly string[];
  /** Whether it answers STUN, as its configuration says. Default false: there is one port 3478 for all tests. */
  readonly stun?: boolean;
}

export interface TestServer {
  readonly program: Program;
  /** As `ws://127.0.0.1:4040`. */
  readonly url: string;
  readonly port: number;
  readonly fingerprint: string | undefined;
  /** The flags with which a client reaches and trusts it. */
  readonly access: readonly string[];
}

export interface TunnelOptions {
  readonly name?: string;
  readonly secret?: string;
  /** Whose identity it uses; publishers and subscribers are two users unless told otherwise. */
  readonly user?: string;
  readonly args?: readonly string[];
  readonly typing?: boolean;
}

export interface TestSubscriber {
  readonly program: Program;
  /** Where it listens. */
  readonly port: number;
}

/** Everything that one test starts; all of it ends with the test. */
export class World {
  readonly #folder = mkdtempSync(join(tmpdir(), 'underpass-e2e-'));
  readonly #programs: Program[] = [];
  readonly #cleanups: (() => unknown)[] = [];

  /** The home directory of a user of this name. */
  home(user: string): string {
    const home = join(this.#folder, user);
    mkdirSync(home, { recursive: true });
    return home;
  }

  /** Writes a file; returns its path. */
  file(name: string, content: string | Buffer, mode = 0o600): string {
    const path = join(this.#folder, name);
    writeFileSync(path, content, { mode });
    return path;
  }

  onEnd(cleanup: () => unknown): void {
    this.#cleanups.push(cleanup);
  }

  /** Runs the program, as `underpass <args>`. */
  run(args: readonly string[], user = 'somebody', options: Partial<ProgramOptions> = {}): Program {
    return this.script(MAIN, args, user, options);
  }

  script(
    path: string,
    args: readonly string[],
    user = 'somebody',
    options: Partial<ProgramOptions> = {},
  ): Program {
    const program = new Program(path, args, { home: this.home(user), ...options });
    this.#programs.push(program);
    return program;
  }

  /** A service on a free port of 127.0.0.1. */
  async service(handler: (socket: Socket) => void, port?: number): Promise<Listener> {
    const listener = await listen(handler, port);
    this.onEnd(() => listener.close());
    return listener;
  }

  /** A service that sends back what it gets. */
  async echoService(port?: number): Promise<Listener> {
    return this.service((socket) => socket.pipe(socket), port);
  }

  /** A service whose connections the test talks on itself. */
  async counterpart(): Promise<{ port: number; accept: () => Promise<Wire> }> {
    const arrived: Wire[] = [];
    const awaited: ((wire: Wire) => void)[] = [];
    const { port } = await this.service((socket) => {
      const wire = new Wire(socket);
      const next = awaited.shift();
      if (next) next(wire);
      else arrived.push(wire);
    });
    const accept = () =>
      new Promise<Wire>((resolve) => {
        const wire = arrived.shift();
        if (wire) resolve(wire);
        else awaited.push(resolve);
      });
    return { port, accept };
  }

  /** Connects to a port of 127.0.0.1. */
  async wire(port: number): Promise<Wire> {
    const wire = await Wire.open(port);
    this.onEnd(() => wire.socket.destroy());
    return wire;
  }

  async server(options: ServerOptions = {}): Promise<TestServer> {
    const { scheme = 'ws', port = 0, user = 'operator', config, args = [], nodeArgs = [] } = options;
    const file = config === undefined ? [] : ['-c', this.file('server.yml', config)];
    const listenAt = ['--listen', `${scheme}://127.0.0.1:${port}`];
    const stun = options.stun ? [] : ['--no-stun'];
    const program = this.run(['server', '--json', ...listenAt, ...stun, ...file, ...args], user, {
      nodeArgs,
    });
    const ready = await program.event('ready', { role: 'server' });
    const url = String(ready.listen);
    const fingerprint = ready.fingerprint === null ? undefined : String(ready.fingerprint);
    const trust = fingerprint === undefined ? [] : ['--server-fingerprint', fingerprint];
    return {
      program,
      url,
      port: Number(new URL(url).port),
      fingerprint,
      access: ['--server', url, ...trust],
    };
  }

  /**
   * Starts a publisher; it may not be ready yet.
   *
   * @param port with a protocol where that is not TCP, as `27015/udp`
   */
  publisher(server: Pick<TestServer, 'access'>, port: number | string, options: TunnelOptions = {}): Program {
    const { name = NAME, secret = SECRET, user = 'publisher', args = [], typing = false } = options;
    const tunnel = ['p2p', String(port), '--name', name, '--secret', secret];
    return this.run([...tunnel, '--json', ...server.access, ...args], user, { typing });
  }

  /** Starts a subscriber on any free port; it may not be ready yet. */
  subscriber(
    server: Pick<TestServer, 'access'>,
    options: TunnelOptions = {},
    port: number | string = 0,
  ): Program {
    const { name = NAME, secret = SECRET, user = 'subscriber', args = [] } = options;
    const tunnel = ['p2p', String(port), '--target', name, '--secret', secret];
    return this.run([...tunnel, '--json', ...server.access, ...args], user);
  }

  async publish(
    server: Pick<TestServer, 'access'>,
    port: number | string,
    options?: TunnelOptions,
  ): Promise<Program> {
    const program = this.publisher(server, port, options);
    await program.event('ready', { role: 'publisher' });
    return program;
  }

  async subscribe(
    server: Pick<TestServer, 'access'>,
    options?: TunnelOptions,
    port?: number | string,
  ): Promise<TestSubscriber> {
    const program = this.subscriber(server, options, port);
    return { program, port: await listenPort(program) };
  }

  /** What every program has printed. */
  get output(): string {
    return this.#programs.map((program) => program.output).join('\n');
  }

  async close(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.stop()));
    for (const cleanup of this.#cleanups.reverse()) await cleanup();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Waits until a subscriber works, and says on which port. */
export async function listenPort(subscriber: Program): Promise<number> {
  const { listen: at } = await subscriber.event('ready', { role: 'subscriber' });
  return Number(String(at).split(':').pop());
}

/** A test with a world of its own. */
export const test = base.extend<{ world: World }>({
  world: async ({ task }, use) => {
    const world = new World();
    try {
      await use(world);
    } finally {
      if (task.result?.state === 'fail') process.stderr.write(`\n=== ${task.name}\n${world.output}\n`);
      await world.close();
    }
  },
});
