import type { ProbeSocket } from '../nat/prober.ts';
import { mappedAddress } from '../nat/stun-address.ts';
import type { StunAnswer } from '../nat/transactions.ts';
import type { Endpoint } from '../net/endpoint.ts';
import { PACE } from './birthday.ts';
import { type Counting, MEASURING, TELLING } from './bracket-round.ts';
import type { Ground, Prediction, Round } from './round.ts';
import { ARMED, armedPorts, MAX_SWEEP, type SweepShot, sweepShots, sweepTargets } from './sweep.ts';

const BUDGET = 3000;

/** Enough for every shot to be a new mapping: the ports that wait for one target take turns. */
const SWEEPERS = Math.ceil(MAX_SWEEP / 2);

/** The side that is waited for: it says which ports it will have, and then has all of them up to there. */
export class SweepingRound implements Round {
  readonly budget = BUDGET;
  readonly strategy = 'sweep';
  readonly #ground: Ground;
  readonly #counting: Counting;
  #sockets: readonly ProbeSocket[] = [];
  #targets: readonly number[] = [];
  #waiting: { readonly address: string; readonly ports: readonly number[] } | undefined;

  constructor(ground: Ground, counting: Counting) {
    this.#ground = ground;
    this.#counting = counting;
  }

  arm(): void {
    this.#ground.bench.open(2 + SWEEPERS, ([first, ...others]) => {
      this.#sockets = others;
      this.#measure(first, ({ address, port }) => {
        this.#targets = sweepTargets(port, this.#counting.step);
        this.#ground.announce({ address, ports: this.#targets, strategy: 'sweep' });
        this.#ground.bench.after(TELLING, () => {
          if (this.#waiting === undefined) this.#ground.fail('untold');
        });
      });
    });
  }

  predicted(prediction: Prediction): void {
    if (this.#waiting || this.#targets.length === 0 || !('ports' in prediction)) return;
    const { address } = prediction;
    const ports = prediction.ports.slice(0, ARMED);
    if (!ports.every((port) => this.#ground.remotes.isAllowed({ address, port }))) return;
    this.#waiting = { address, ports };
    this.#ground.armed();
  }

  go(): void {
    // Others have taken ports since.
    const [measuring, ...sweepers] = this.#sockets;
    this.#measure(measuring, ({ port }) => {
      const { address = '', ports = [] } = this.#waiting ?? {};
      const shots = sweepShots(port, this.#counting.step, this.#targets, ports);
      shots.forEach((shot, i) => {
        this.#ground.bench.after(i * PACE, () => this.#shoot(shot, address, sweepers));
      });
    });
  }

  #shoot({ port, socket }: SweepShot, address: string, sweepers: readonly ProbeSocket[]): void {
    const sweeper = sweepers[socket];
    if (!sweeper) return;
    this.#ground.checks.ask(this.#ground.numberOf(sweeper), { address, port }, this.#ground.now());
  }

  #measure(socket: ProbeSocket | undefined, use: (mapped: Endpoint) => void): void {
    if (socket === undefined) {
      this.#ground.fail('unmeasured');
      return;
    }
    const question = { socket, to: this.#counting.stun, patience: MEASURING };
    this.#ground.bench.ask(question, (answer) => {
      const mapped = answer && mappedAddress(answer.message);
      if (mapped) use(mapped);
      else this.#ground.fail('unmeasured');
    });
  }
}

/** The side that waits: it makes mappings towards ports that the other one will have, and tells their ports. */
export class AwaitingRound implements Round {
  readonly budget = BUDGET;
  readonly strategy = 'sweep';
  readonly #ground: Ground;
  readonly #counting: Counting;
  #told = false;

  constructor(ground: Ground, counting: Counting) {
    this.#ground = ground;
    this.#counting = counting;
  }

  arm(): void {
    this.#ground.bench.after(TELLING, () => {
      if (!this.#told) this.#ground.fail('untold');
    });
  }

  predicted(prediction: Prediction): void {
    if (this.#told || !('ports' in prediction)) return;
    this.#told = true;
    const { address, ports } = prediction;
    const targets = ports
      .map((port) => ({ address, port }))
      .filter((one) => this.#ground.remotes.isAllowed(one));
    this.#ground.bench.open(ARMED + 2, (sockets) => this.#await(sockets, targets));
  }

  /** The other side's probes come through by themselves. */
  go(): void {}

  #await([before, after, ...waiting]: readonly ProbeSocket[], targets: readonly Endpoint[]): void {
    const { bench } = this.#ground;
    if (!before || !after || targets.length === 0) {
      this.#ground.fail('unmeasured');
      return;
    }
    const mapped: (Endpoint | undefined)[] = [];
    const settle = (side: 0 | 1) => (answer: StunAnswer | undefined) => {
      mapped[side] = answer && mappedAddress(answer.message);
      if (0 in mapped && 1 in mapped) this.#measured(mapped[0], mapped[1]);
    };
    const question = { to: this.#counting.stun, patience: MEASURING };
    bench.ask({ ...question, socket: before }, settle(0));
    waiting.forEach((socket, i) => {
      const target = targets[i % targets.length];
      if (target) this.#ground.arm(this.#ground.numberOf(socket), target);
    });
    bench.ask({ ...question, socket: after }, settle(1));
  }

  #measured(before: Endpoint | undefined, after: Endpoint | undefined): void {
    const ports = before && after ? armedPorts(before.port, after.port, this.#counting.step) : [];
    if (before === undefined || ports.length < ARMED) {
      this.#ground.fail('unmeasured');
      return;
    }
    this.#ground.announce({ address: before.address, ports, strategy: 'sweep' });
    this.#ground.armed();
  }
}
