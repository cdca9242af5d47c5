import type { Endpoint } from '../net/endpoint.ts';
import { drawPorts, type Holding, planSearch, sizeOf, widened } from './birthday.ts';
import { paced } from './pace.ts';
import type { Remote } from './remotes.ts';
import { type Ground, type Prediction, type Round, TELLING } from './round.ts';

const BUDGET = 10_000;

/** The side whose NAT gives random ports holds many of them open, and waits. */
export class HoldingRound implements Round {
  readonly budget = BUDGET;
  readonly strategy = 'birthday';
  readonly #ground: Ground;
  readonly #holding: Holding;

  constructor(ground: Ground, holding: Holding) {
    this.#ground = ground;
    this.#holding = holding;
  }

  arm(): void {
    this.#ground.aim((peer) => this.#hold(peer));
  }

  /** From the first probe that comes through on, it is an exchange like any other. */
  go(): void {}

  #hold(peer: Remote): void {
    // So many packets to one address, even if they are not meant to arrive.
    if (!this.#ground.remotes.isVouched(peer.address)) {
      this.#ground.fail('unvouched');
      return;
    }
    const { address } = this.#holding;
    const range = widened(this.#holding.range);
    this.#ground.bench.open(planSearch(sizeOf(range)).sockets, (sockets) => {
      if (sockets.length === 0) {
        this.#ground.fail('unmeasured');
        return;
      }
      this.#ground.announce({ address, ...range });
      const hold = (i: number) => {
        const socket = sockets[i];
        if (socket) this.#ground.arm(this.#ground.numberOf(socket), peer);
      };
      paced(this.#ground, sockets.length, hold, () => this.#ground.armed());
    });
  }
}

/** The other side tries ports at random, once each, until one of them is held. */
export class SearchingRound implements Round {
  readonly budget = BUDGET;
  readonly strategy = 'birthday';
  readonly #ground: Ground;
  readonly #random: (size: number) => Buffer;
  #targets: Endpoint[] | undefined;

  constructor(ground: Ground, random: (size: number) => Buffer) {
    this.#ground = ground;
    this.#random = random;
  }

  arm(): void {
    this.#ground.bench.after(TELLING, () => {
      if (this.#targets === undefined) this.#ground.fail('untold');
    });
  }

  predicted(prediction: Prediction): void {
    if (this.#targets || !('first' in prediction)) return;
    const { address, first, last } = prediction;
    const allowed = [first, last].every((port) => this.#ground.remotes.isAllowed({ address, port }));
    if (!allowed || last < first) return;
    const { probes } = planSearch(sizeOf(prediction));
    this.#targets = drawPorts(prediction, probes, this.#random).map((port) => ({ address, port }));
    this.#ground.armed();
  }

  go(): void {
    const targets = this.#targets ?? [];
    paced(this.#ground, targets.length, (i) => {
      const target = targets[i];
      if (target) this.#try(target);
    });
  }

  #try(target: Endpoint): void {
    const socket = this.#ground.mainSocket(target);
    if (socket !== undefined) this.#ground.checks.ask(socket, target, this.#ground.now());
  }
}
