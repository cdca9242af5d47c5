import type { Remote } from './remotes.ts';
import type { Ground, Round } from './round.ts';

/** Both sides probe all that they know of each other, at once. */
export class ExchangeRound implements Round {
  readonly budget = 2500;
  readonly #ground: Ground;
  #going = false;

  constructor(ground: Ground) {
    this.#ground = ground;
  }

  arm(): void {
    for (const remote of this.#ground.remotes.all) this.candidate(remote);
    this.#ground.armed();
  }

  go(): void {
    this.#going = true;
    for (const remote of this.#ground.remotes.all) this.candidate(remote);
  }

  candidate(remote: Remote): void {
    const { checks } = this.#ground;
    const socket = this.#ground.mainSocket(remote);
    if (socket === undefined) return;
    if (this.#going) checks.pair(socket, remote)?.start(this.#ground.now());
    else if (this.#ground.filters(remote)) this.#ground.arm(socket, remote);
  }
}
