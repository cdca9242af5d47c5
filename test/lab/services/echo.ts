import type { Laboratory, MachineName } from '../laboratory.ts';
import type { LabProcess } from '../system/lab-process.ts';
import { script } from '../system/root.ts';

/** Longer than a connection is waited for. */
const PATIENCE = 15_000;

const PROGRAM = 'services/echo.py';

/** What became of a byte that was sent to an echo service: after how many milliseconds it was back, or what happened instead. */
export type Echoed =
  | { readonly ms: number; readonly failure: undefined }
  | { readonly ms: undefined; readonly failure: string };

/** Starts an echo service on a machine's own address, and waits until it listens. */
export async function startEcho(lab: Laboratory, machine: MachineName, port: number): Promise<LabProcess> {
  const echo = lab.spawn(machine, ['python3', script(PROGRAM), 'serve', String(port)]);
  await echo.line('ready');
  return echo;
}

/** Connects to ports of its own machine and measures how long a byte takes to the echo service behind them. */
export class Dialler {
  readonly #process: LabProcess;
  #asked = 0;

  constructor(lab: Laboratory, machine: MachineName) {
    this.#process = lab.spawn(machine, ['python3', script(PROGRAM), 'dial']);
  }

  /** Makes a connection, which stays open under that name, and sends a byte through it at once. */
  open(name: string, port: number): Promise<Echoed> {
    return this.#ask(`open ${name} ${port}`);
  }

  /** Sends another byte. */
  again(name: string): Promise<Echoed> {
    return this.#ask(`again ${name}`);
  }

  async #ask(what: string): Promise<Echoed> {
    this.#asked += 1;
    const start = `${this.#asked} `;
    this.#process.write(`${start}${what}\n`);
    const said = (await this.#process.line(start, PATIENCE)).slice(start.length);
    const ms = Number(said);
    return Number.isNaN(ms) ? { ms: undefined, failure: said } : { ms, failure: undefined };
  }
}
