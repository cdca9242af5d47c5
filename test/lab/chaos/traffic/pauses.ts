import { PAUSE, type State, tell } from './said.ts';

/** Watches that something keeps arriving for as long as it is due. */
export class Pauses {
  readonly #kind: 'tcp' | 'udp';
  readonly #id: number;
  #last = Date.now();
  #due = true;

  constructor(kind: 'tcp' | 'udp', id: number) {
    this.#kind = kind;
    this.#id = id;
  }

  /** Something came. */
  moved(): void {
    this.close();
    this.#last = Date.now();
  }

  /** Nobody waits for more: tells a pause that goes on. */
  close(): void {
    if (this.silence < PAUSE) return;
    tell({ event: 'paused', kind: this.#kind, id: this.#id, from: this.#last, at: Date.now() });
  }

  /** Whether something has to come from now on. */
  set due(due: boolean) {
    if (due && !this.#due) this.#last = Date.now();
    this.#due = due;
  }

  /** How long nothing has come although it was due, in milliseconds. */
  get silence(): number {
    return this.#due ? Date.now() - this.#last : 0;
  }

  get stalled(): State['stalled'] {
    return this.silence < PAUSE ? [] : [{ kind: this.#kind, id: this.#id, since: this.#last }];
  }
}
