import type { Laboratory, MachineName } from '../laboratory.ts';
import { type LabProcess, wholeLines } from '../system/lab-process.ts';
import { script } from '../system/root.ts';

/** A packet that was sent, and the flow that it began. */
export interface Sent {
  readonly localPort: number;
  readonly address: string;
  readonly port: number;
}

/** Stands for a new socket. */
export const FRESH = 0;

/** Sends UDP packets from a machine, from sockets that stay open until `end`. */
export class Sender {
  readonly #process: LabProcess;

  constructor(lab: Laboratory, machine: MachineName) {
    this.#process = lab.spawn(machine, ['python3', script('prober/sender.py')]);
  }

  /** All in one burst, in this order. */
  async send(packets: readonly Sent[]): Promise<Sent[]> {
    const before = wholeLines(this.#process.stdout).length;
    const lines = packets.map(({ localPort, address, port }) => `${localPort} ${address} ${port}\n`);
    this.#process.write(lines.join(''));
    const ports = await this.#process.output((stdout) => {
      const said = wholeLines(stdout).slice(before);
      return said.length >= packets.length ? said.map(Number) : undefined;
    });
    return packets.map((packet, index) => ({ ...packet, localPort: ports[index] ?? FRESH }));
  }

  end(): void {
    this.#process.endInput();
  }
}
