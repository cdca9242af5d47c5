import type { ToldEvent } from '../services/underpass.ts';

/** The path that one of the programs has told last. */
export class PathWatch {
  #kind: 'relayed' | 'direct' | undefined;
  #how = 'none';
  #port: number | undefined;
  #moves = 0;
  readonly #errors: string[] = [];

  /** A line of `--json`. */
  hear(line: string): void {
    const told: ToldEvent & Record<string, unknown> = JSON.parse(line);
    if (told.event === 'error') this.#errors.push(String(told.code));
    if (told.event !== 'path') return;
    const direct = told.kind === 'direct';
    const before = this.#kind;
    this.#kind = direct ? 'direct' : 'relayed';
    if (before !== this.#kind) this.#moves += 1;
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

  /** How often it became another kind. */
  get moves(): number {
    return this.#moves;
  }

  /** The codes of the errors that it told. */
  get errors(): readonly string[] {
    return this.#errors;
  }
}
