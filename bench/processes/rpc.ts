import type { ChildProcess } from 'node:child_process';

/** What a process of the bench can be asked to do. */
export type Handlers = Readonly<Record<string, (argument: never) => unknown>>;

interface Call {
  readonly id: number;
  readonly method: string;
  readonly argument: unknown;
}

interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly problem?: string;
}

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** In the child: does what the parent asks over IPC, and ends with the parent. */
export function answer(handlers: Handlers): void {
  process.on('message', (call: Call) => void reply(handlers, call));
  process.on('disconnect', () => process.exit(1));
}

async function reply(handlers: Handlers, { id, method, argument }: Call): Promise<void> {
  try {
    const handler = handlers[method];
    if (handler === undefined) throw new Error(`nothing here answers '${method}'`);
    process.send?.({ id, result: await handler(argument as never) });
  } catch (error) {
    process.send?.({ id, problem: String(error) });
  }
}

/** In the parent: asks a child, whose handlers are `H`. */
export class Worker<H extends Handlers> {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;

  constructor(child: ChildProcess) {
    this.pid = child.pid ?? 0;
    this.#child = child;
    child.on('message', (reply: Reply) => this.#onReply(reply));
    child.on('exit', () => {
      for (const { reject } of this.#pending.values()) reject(new Error('the process has ended'));
      this.#pending.clear();
    });
  }

  call<M extends keyof H & string>(
    method: M,
    ...[argument]: Parameters<H[M]>
  ): Promise<Awaited<ReturnType<H[M]>>> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as Pending['resolve'], reject });
      this.#child.send({ id, method, argument }, (error) => error && reject(error));
    });
  }

  #onReply({ id, result, problem }: Reply): void {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (problem === undefined) pending?.resolve(result);
    else pending?.reject(new Error(problem));
  }
}
