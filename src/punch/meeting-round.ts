import type { Endpoint } from '../net/endpoint.ts';
import { type Holding, sizeOf } from './birthday.ts';
import { aimAt, socketsFor } from './blocks.ts';
import { PACE, paced } from './pace.ts';
import { type Ground, type Prediction, type Round, TELLING } from './round.ts';

/** For what is still on its way when the last probe has been sent, in milliseconds. */
const ECHO = 1000;

interface Shot {
  readonly socket: number;
  readonly to: Endpoint;
}

/**
 * A side whose NAT gives random ports out of a block, against another one: both make many mappings towards a few of each other's
 * ports, and then probe along all of them. Where a mapping of each side leads to the other's, a probe comes through.
 */
export class MeetingRound implements Round {
  readonly strategy = 'birthday';
  readonly #ground: Ground;
  readonly #holding: Holding;
  readonly #random: (size: number) => Buffer;
  #told = false;
  #shots: readonly Shot[] = [];

  constructor(ground: Ground, holding: Holding, random: (size: number) => Buffer) {
    this.#ground = ground;
    this.#holding = holding;
    this.#random = random;
  }

  get budget(): number {
    return this.#shots.length * PACE + ECHO;
  }

  arm(): void {
    const { address, range } = this.#holding;
    this.#ground.announce({ address, ...range });
    this.#ground.bench.after(TELLING, () => {
      if (!this.#told) this.#ground.fail('untold');
    });
  }

  predicted(prediction: Prediction): void {
    if (this.#told || !('first' in prediction)) return;
    const { address, first, last } = prediction;
    const allowed = [first, last].every((port) => this.#ground.remotes.isAllowed({ address, port }));
    if (!allowed || last < first) return;
    this.#told = true;
    const targets = aimAt(prediction, this.#random).map((port) => ({ address, port }));
    const { bench } = this.#ground;
    bench.open(socketsFor(sizeOf(this.#holding.range)), (sockets) => {
      if (sockets.length === 0) {
        this.#ground.fail('unmeasured');
        return;
      }
      const numbers = sockets.map((socket) => this.#ground.numberOf(socket));
      this.#shots = numbers.flatMap((socket) => targets.map((to) => ({ socket, to })));
      this.#eachShot(
        ({ socket, to }) => this.#ground.arm(socket, to),
        () => this.#ground.armed(),
      );
    });
  }

  go(): void {
    const { checks, now } = this.#ground;
    this.#eachShot(({ socket, to }) => checks.ask(socket, to, now()));
  }

  #eachShot(act: (shot: Shot) => void, done?: () => void): void {
    const run = (i: number) => {
      const shot = this.#shots[i];
      if (shot) act(shot);
    };
    paced(this.#ground, this.#shots.length, run, done);
  }
}
