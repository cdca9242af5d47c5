import type { UnderpassError } from '../../errors.ts';
import type { NatReport, TunnelEvent } from '../../index.ts';
import type { Output } from '../context.ts';
import type { CommandEvent, TunnelAbout, View } from './view.ts';

/** One JSON object a line, each but a NAT report with `event` and `time` (ISO 8601); nothing else on standard output. */
export class JsonView implements View {
  readonly #stdout: Output;
  readonly #now: () => Date;

  constructor(stdout: Output, now: () => Date) {
    this.#stdout = stdout;
    this.#now = now;
  }

  tunnel({ label }: TunnelAbout): (event: TunnelEvent) => void {
    return (event) => this.#print(label === undefined ? event : { ...event, tunnel: label });
  }

  show(event: CommandEvent): void {
    this.#print(event);
  }

  nat(report: NatReport): void {
    this.#stdout.write(`${JSON.stringify(report)}\n`);
  }

  error({ code, message, hint }: UnderpassError): void {
    this.#print({ event: 'error', code, message, hint });
  }

  #print(event: object): void {
    this.#stdout.write(`${JSON.stringify({ ...event, time: this.#now().toISOString() })}\n`);
  }
}
