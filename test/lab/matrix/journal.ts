import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { RunRecord } from './record.ts';

/**
 * The runs so far: in a file, if there is one, a line each as soon as it is done, after a first line with the seed. Whoever
 * opens the file again goes on where it ends.
 */
export class Journal {
  readonly seed: number;
  readonly runs: RunRecord[] = [];
  readonly #file: string | undefined;

  /** @param seed what to begin with; what a file names that is there already counts instead. Throws when it is no such file. */
  constructor(seed: number, file?: string) {
    this.#file = file;
    if (file === undefined || !existsSync(file)) {
      this.seed = seed;
      if (file !== undefined) appendFileSync(file, line({ seed }));
      return;
    }
    const text = readFileSync(file, 'utf8');
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    // What a killed process was about to write was not finished.
    if (whole !== text) writeFileSync(file, whole);
    const [header, ...runs] = whole
      .split('\n')
      .slice(0, -1)
      .map((each) => JSON.parse(each));
    if (typeof header?.seed !== 'number') throw new Error(`${file} holds no runs of a matrix`);
    this.seed = header.seed;
    this.runs.push(...runs);
  }

  add(run: RunRecord): void {
    this.runs.push(run);
    if (this.#file !== undefined) appendFileSync(this.#file, line(run));
  }
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
