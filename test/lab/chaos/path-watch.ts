import type { ToldEvent } from '../services/underpass.ts';

/** The path that one of the programs has told last. */
export class PathWatch {
  #kind: 'relayed' | 'direct' | undefined;
  #how = 'none';
  #port: number | undefined;
  #wasDirect = false;
  readonly #errors: string[] = [];

  /** A line of `--json`. */
  hear(line: string): void {
    const told: ToldEvent & Record<string, unknown> = JSON.parse(line);
    if (told.event === 'error') this.#errors.push(String(told.code));
    if (told.event !== 'path') return;
    const direct = told.kind === 'direct';
    this.#kind = direct ? 'direct' : 'relayed';
    this.#wasDirect ||= direct;
    this.#how = direct ? `direct, ${told.strategy}` : `relayed, ${told.reason}`;
    this.#port = direct ? Number(String(told.remote).split(':').at(-1)) : undefined;
  }

  get kind(): 'relayed' | 'direct' | undefined {
    return this.#kind;
  }

  /** With its strategy or reason, for people. */
  get how(): string {
    return this.#how;
  }

  /** The peer's public port on a direct path. */
  get port(): number | undefined {
    return this.#port;
  }

  /** Whether it is, or was, direct: so whether it can be. */
  get wasDirect(): boolean {
    return this.#wasDirect;
  }

  /** The codes of the errors that it told. */
  get errors(): readonly string[] {
    return this.#errors;
  }
}
