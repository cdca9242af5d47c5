import type { Echoed } from '../services/echo.ts';
import { startPublisher, startSubscriber, told } from '../services/underpass.ts';
import type { LabProcess } from '../system/lab-process.ts';
import type { Outcome, PathTold, Side } from './record.ts';
import type { Stage } from './stage.ts';
import { Watch } from './watch.ts';

/** A program is ready in a second; on a busy machine in a few. */
const START = 30_000;
/** So long after it was ready, a subscriber that has no direct path is held to find none. */
const DEADLINE = 25_000;
/** Discovery takes 2 s at most; without it a publisher will do, too. */
const DISCOVERY = 5_000;
/** A program ends in so long when it is asked to. */
const FAREWELL = 5_000;
/** Echoes through the connection over the direct path. */
const ECHOES = 4;

/** What the programs printed, for whoever looks into a run. */
export type Output = Readonly<Record<Side, string>>;

export interface Played {
  readonly outcome: Outcome;
  readonly output: Output;
}

const NOTHING: Outcome = {
  direct: false,
  strategy: null,
  reason: null,
  elapsed_ms: null,
  from_start_ms: null,
  ready_ms: null,
  first_byte_ms: null,
  second_byte_ms: null,
  fastest_echo_ms: null,
  failures: [],
  troubles: [],
  error: null,
  paths: [],
  networks: {},
};

/** Fresh publisher, fresh subscriber, a connection as soon as it is ready and another one over the direct path. */
export async function run(stage: Stage): Promise<Played> {
  await stage.forget();
  return new Run(stage).play();
}

class Run {
  readonly #stage: Stage;
  #publisher: LabProcess | undefined;
  #subscriber: LabProcess | undefined;
  /** When the subscriber did, as Date.now() has it. */
  #startedAt = Date.now();
  #outcome = NOTHING;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  async play(): Promise<Played> {
    try {
      await this.#publish();
      const subscriber = this.#subscribe();
      const port = await this.#connectAtOnce(subscriber);
      if (await this.#isDirect(subscriber)) await this.#useDirect(port);
      // It lives on whatever became of the search.
      this.#noteFailure('first, at the end', await this.#stage.dialler.again('first'));
      // Before they end: then their paths do, too.
      this.#noteWatches();
      for (const program of this.#programs) await farewell(program);
    } catch (error) {
      this.#note({ direct: false, error: (error as Error).message });
      this.#noteWatches();
      for (const program of this.#programs) program.kill('SIGKILL');
      await Promise.all(this.#programs.map(({ ended }) => ended));
    }
    const output = { subscriber: printed(this.#subscriber), publisher: printed(this.#publisher) };
    return { outcome: this.#outcome, output };
  }

  get #programs(): LabProcess[] {
    return [this.#subscriber, this.#publisher].filter((program) => program !== undefined);
  }

  /** A publisher has been running for long, and knows its network. */
  async #publish(): Promise<void> {
    const { lab, case: each, program } = this.#stage;
    const publisher = await startPublisher(lab, each.publisher, { program, flags: each.flags });
    this.#publisher = publisher;
    await publisher.output(() => told(publisher, 'nat')[0], DISCOVERY);
  }

  #subscribe(): LabProcess {
    const { lab, case: each, program } = this.#stage;
    const flags = each.relayOnly ? [...each.flags, '--mode', 'relay'] : each.flags;
    this.#startedAt = Date.now();
    this.#subscriber = startSubscriber(lab, 'a', { program, flags });
    return this.#subscriber;
  }

  /** @returns the local port */
  async #connectAtOnce(subscriber: LabProcess): Promise<number> {
    const ready = await subscriber.output(() => told(subscriber, 'ready')[0], START);
    const port = Number(String(ready.listen).split(':').at(-1));
    const first = await this.#stage.dialler.open('first', port);
    this.#noteFailure('first', first);
    this.#note({ ready_ms: Date.parse(ready.time) - this.#startedAt, first_byte_ms: first.ms ?? null });
    return port;
  }

  async #isDirect(subscriber: LabProcess): Promise<boolean> {
    const watch = new Watch(subscriber, 'subscriber', this.#startedAt);
    const path = await watch.settled(this.#startedAt + (this.#outcome.ready_ms ?? 0) + DEADLINE - Date.now());
    if (path?.kind !== 'direct') {
      this.#note({ reason: path?.reason ?? watch.paths.at(-1)?.reason ?? null });
      return false;
    }
    const { strategy, elapsed_ms, at_ms } = path;
    this.#note({ direct: true, strategy, elapsed_ms, from_start_ms: at_ms });
    return true;
  }

  async #useDirect(port: number): Promise<void> {
    const { dialler } = this.#stage;
    const second = await dialler.open('second', port);
    const echoes = [second];
    for (let i = 0; i < ECHOES; i++) echoes.push(await dialler.again('second'));
    for (const echoed of echoes) this.#noteFailure('second', echoed);
    const times = echoes.flatMap(({ ms }) => ms ?? []);
    const fastest_echo_ms = times.length > 0 ? Math.min(...times) : null;
    this.#note({ second_byte_ms: second.ms ?? null, fastest_echo_ms });
  }

  #noteFailure(connection: string, { failure }: Echoed): void {
    if (failure === undefined) return;
    this.#note({ failures: [...this.#outcome.failures, `${connection}: ${failure}`] });
  }

  #noteWatches(): void {
    const watches = [
      ...(this.#subscriber ? [new Watch(this.#subscriber, 'subscriber', this.#startedAt)] : []),
      ...(this.#publisher ? [new Watch(this.#publisher, 'publisher', this.#startedAt)] : []),
    ];
    const paths: PathTold[] = watches.flatMap((watch) => watch.paths);
    this.#note({
      paths: paths.sort((one, other) => one.at_ms - other.at_ms),
      networks: Object.assign({}, ...watches.map(({ network }) => network)),
      troubles: watches.flatMap(({ troubles }) => troubles),
    });
  }

  #note(part: Partial<Outcome>): void {
    this.#outcome = { ...this.#outcome, ...part };
  }
}

/** Throws when a program does not end in order. */
async function farewell(program: LabProcess): Promise<void> {
  if (program.over) throw new Error(`it ended by itself: ${printed(program)}`);
  program.kill();
  const late = setTimeout(() => program.kill('SIGKILL'), FAREWELL);
  const { code, stderr } = await program.ended;
  clearTimeout(late);
  if (code !== 0) throw new Error(`it ended with ${code}: ${stderr.slice(-2000)}`);
}

function printed(program: LabProcess | undefined): string {
  return program === undefined ? '' : `${program.stdout}${program.stderr}`;
}
