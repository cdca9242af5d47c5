import type { ProbeSocket } from '../nat/prober.ts';
import { mappedAddress } from '../nat/stun-address.ts';
import type { Endpoint } from '../net/endpoint.ts';
import { type Counting, MEASURING } from './bracket-round.ts';
import { paced } from './pace.ts';
import { type Ground, type Prediction, type Round, TELLING } from './round.ts';
import { armedPorts, Counter, MAX_SWEEP, TARGETS, targetFor } from './sweep.ts';

const BUDGET = 3000;

/** Each makes a new mapping towards the STUN server, and one towards each port that waits. */
const SWEEPERS = 60;

/** Mappings that are measured in a burst, to tell how fast the counter goes; and then again, to see where it is. */
const FIRST_SAMPLES = 8;
const LATER_SAMPLES = 2;

/** While it sweeps, every so many mappings it looks where it is. */
const LOOK = 8;

/** The side that is waited for: it says which ports it will have, and then has all of them up to there. */
export class SweepingRound implements Round {
  readonly budget = BUDGET;
  readonly strategy = 'sweep';
  readonly #ground: Ground;
  readonly #stun: Endpoint;
  #counter: Counter;
  /** Mappings made. */
  #turn = 0;
  #sockets: readonly ProbeSocket[] = [];
  /** Of these, so many have asked the STUN server. */
  #asked = 0;
  #address: string | undefined;
  #targets: readonly number[] = [];
  /** Where the other side waits, for each target; and the sockets that have been sent from there. */
  #waiting: readonly Endpoint[] = [];
  readonly #used = new Map<number, number>();

  constructor(ground: Ground, { step, stun }: Counting) {
    this.#ground = ground;
    this.#stun = stun;
    this.#counter = new Counter(step);
  }

  arm(): void {
    this.#ground.bench.open(SWEEPERS, (sockets) => {
      this.#sockets = sockets;
      this.#measure(FIRST_SAMPLES, (address) => {
        this.#targets = this.#counter.targetsAfter(this.#turn);
        if (this.#targets.length === 0) {
          this.#ground.fail('unmeasured');
          return;
        }
        this.#ground.announce({ address, ports: this.#targets, strategy: 'sweep' });
        this.#ground.bench.after(TELLING, () => {
          if (this.#waiting.length === 0) this.#ground.fail('untold');
        });
      });
    });
  }

  predicted(prediction: Prediction): void {
    if (this.#waiting.length > 0 || this.#targets.length === 0 || !('ports' in prediction)) return;
    const { address, ports } = prediction;
    const waiting = ports.slice(0, this.#targets.length).map((port) => ({ address, port }));
    if (waiting.length < this.#targets.length) return;
    if (!waiting.every((one) => this.#ground.remotes.isAllowed(one))) return;
    this.#waiting = waiting;
    this.#ground.armed();
  }

  go(): void {
    this.#counter = this.#counter.later();
    this.#measure(LATER_SAMPLES, () => {
      paced(this.#ground, MAX_SWEEP, (i) => {
        if (i % LOOK === LOOK - 1) this.#ask();
        else this.#shoot();
      });
    });
  }

  #shoot(): void {
    const port = this.#counter.portAt(this.#turn);
    const index = port && targetFor(port, this.#targets, this.#counter.step);
    const to = index === undefined ? undefined : this.#waiting[index];
    if (to === undefined) return;
    const used = this.#used.get(to.port) ?? 0;
    const socket = this.#sockets[used];
    if (socket === undefined) return;
    this.#used.set(to.port, used + 1);
    this.#turn++;
    this.#ground.checks.ask(this.#ground.numberOf(socket), to, this.#ground.now());
  }

  #measure(samples: number, use: (address: string) => void): void {
    let left = samples;
    const settle = () => {
      if (--left > 0) return;
      const known = this.#counter.portAt(this.#turn) !== undefined;
      if (known && this.#address !== undefined) use(this.#address);
      else this.#ground.fail('unmeasured');
    };
    for (let i = 0; i < samples; i++) this.#ask(settle);
  }

  /** A mapping whose port the STUN server tells. */
  #ask(settle: () => void = () => {}): void {
    const socket = this.#sockets[this.#asked++];
    if (socket === undefined) {
      settle();
      return;
    }
    const turn = this.#turn++;
    this.#ground.bench.ask({ socket, to: this.#stun, patience: MEASURING }, (answer) => {
      const mapped = answer && mappedAddress(answer.message);
      if (mapped) {
        this.#address = mapped.address;
        this.#counter.learn(turn, mapped.port);
      }
      settle();
    });
  }
}

/** The side that waits: it makes a mapping towards each port that the other one will have, and tells their ports. */
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
    const { address } = prediction;
    const targets = prediction.ports.slice(0, TARGETS).map((port) => ({ address, port }));
    if (!targets.every((one) => this.#ground.remotes.isAllowed(one))) {
      this.#ground.fail('unmeasured');
      return;
    }
    this.#ground.bench.open(2 * targets.length + 1, (sockets) => this.#await(sockets, targets));
  }

  /** The other side's probes come through by themselves. */
  go(): void {}

  /** One burst: each mapping towards the peer lies between two that are measured. */
  #await(sockets: readonly ProbeSocket[], targets: readonly Endpoint[]): void {
    const known: (number | undefined)[] = targets.map(() => undefined);
    let address: string | undefined;
    let left = targets.length + 1;
    const settle = (place: number, mapped: Endpoint | undefined) => {
      known[place] = mapped?.port;
      address ??= mapped?.address;
      if (--left === 0) this.#measured(address, known);
    };
    sockets.forEach((socket, i) => {
      const target = targets[(i - 1) / 2];
      if (target) {
        this.#ground.arm(this.#ground.numberOf(socket), target);
        return;
      }
      this.#ground.bench.ask({ socket, to: this.#counting.stun, patience: MEASURING }, (answer) =>
        settle(i / 2, answer && mappedAddress(answer.message)),
      );
    });
  }

  #measured(address: string | undefined, known: readonly (number | undefined)[]): void {
    const ports = armedPorts(known, this.#counting.step);
    if (address === undefined || ports.length === 0) {
      this.#ground.fail('unmeasured');
      return;
    }
    this.#ground.announce({ address, ports, strategy: 'sweep' });
    this.#ground.armed();
  }
}
