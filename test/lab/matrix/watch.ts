import { type ToldEvent, told } from '../services/underpass.ts';
import type { LabProcess } from '../system/lab-process.ts';
import type { NetworkTold, PathTold, Side } from './record.ts';

/** Reasons for being relayed that no waiting changes. */
const FINAL: ReadonlySet<string | null> = new Set([
  'off',
  'peer-off',
  'server-off',
  'unsupported',
  'peer-unsupported',
  'unpredictable',
  'unmeasured',
  'udp-blocked',
  'no-hairpin',
  'refused',
]);

/** What a program tells while it runs. @param since as Date.now() has it */
export class Watch {
  readonly #program: LabProcess;
  readonly #side: Side;
  readonly #since: number;

  constructor(program: LabProcess, side: Side, since: number) {
    this.#program = program;
    this.#side = side;
    this.#since = since;
  }

  get paths(): PathTold[] {
    return told(this.#program, 'path').map((event) => this.#path(event));
  }

  get network(): { readonly [side in Side]?: NetworkTold } {
    const event = told(this.#program, 'nat').at(-1);
    if (event === undefined) return {};
    const { type, filtering, allocation, poisonable, arming_ttl, ...more } = event as ToldEvent & NetworkTold;
    const { udp_blocked, mapping_ms, elapsed_ms } = more;
    const network = {
      type,
      filtering,
      allocation,
      poisonable,
      arming_ttl,
      udp_blocked,
      mapping_ms,
      elapsed_ms,
    };
    return { [this.#side]: network };
  }

  /** What it complained of. */
  get troubles(): string[] {
    return told(this.#program, 'error').map(({ code, message }) => `${code}: ${message}`);
  }

  /** The direct path, or a reason that is final; undefined when neither came in time. Throws if the program ended. */
  async settled(ms: number): Promise<PathTold | undefined> {
    const find = () => this.paths.find(({ kind, reason }) => kind === 'direct' || FINAL.has(reason));
    try {
      return await this.#program.output(find, ms);
    } catch (error) {
      if (this.#program.over) throw error;
      return undefined;
    }
  }

  #path(event: ToldEvent): PathTold {
    const { kind, strategy, reason, remote, rtt_ms, elapsed_ms } = event as ToldEvent & PathTold;
    const at_ms = Date.parse(event.time) - this.#since;
    return { side: this.#side, at_ms, kind, strategy, reason, remote, rtt_ms, elapsed_ms };
  }
}
