import { mappedAddress } from '../nat/stun-address.ts';
import type { StunAnswer } from '../nat/transactions.ts';
import type { Endpoint } from '../net/endpoint.ts';
import { bracketPorts, extrapolatePorts, MAX_GUESSES } from './bracket.ts';
import type { Remote } from './remotes.ts';
import { type Ground, type Prediction, type Round, TELLING } from './round.ts';

/** How long STUN may take, in milliseconds, with retransmissions. */
export const MEASURING = 1000;

const BUDGET = 2000;

/** What the side with the NAT that counts knows of itself. */
export interface Counting {
  readonly step: number;
  /** The STUN server to measure with. */
  readonly stun: Endpoint;
}

/**
 * The side whose NAT counts makes a mapping towards the peer between two others that a STUN server tells it: so its port is known,
 * and nothing that happens afterwards can change it.
 */
export class BracketedRound implements Round {
  readonly budget = BUDGET;
  readonly #ground: Ground;
  readonly #counting: Counting;
  strategy: Round['strategy'];
  #socket: number | undefined;
  #peer: Remote | undefined;

  constructor(ground: Ground, counting: Counting) {
    this.#ground = ground;
    this.#counting = counting;
  }

  arm(): void {
    this.#ground.aim((peer) => this.#measure(peer));
  }

  go(): void {
    const { checks } = this.#ground;
    if (this.#socket !== undefined && this.#peer)
      checks.pair(this.#socket, this.#peer)?.start(this.#ground.now());
  }

  #measure(peer: Remote): void {
    const { bench } = this.#ground;
    this.#peer = peer;
    bench.open(3, ([before, between, after]) => {
      if (!before || !between || !after) {
        this.#ground.fail('unmeasured');
        return;
      }
      this.#socket = this.#ground.numberOf(between);
      const mapped: { before?: Endpoint | undefined; after?: Endpoint | undefined } = {};
      const settle = (side: 'before' | 'after') => (answer: StunAnswer | undefined) => {
        mapped[side] = answer && mappedAddress(answer.message);
        if ('before' in mapped && 'after' in mapped) this.#measured(mapped.before, mapped.after);
      };
      // One burst: what comes in between is at most a few ports of somebody else's.
      const question = { to: this.#counting.stun, patience: MEASURING };
      bench.ask({ ...question, socket: before }, settle('before'));
      this.#ground.arm(this.#socket, peer);
      bench.ask({ ...question, socket: after }, settle('after'));
    });
  }

  #measured(before: Endpoint | undefined, after: Endpoint | undefined): void {
    const { step } = this.#counting;
    const address = (before ?? after)?.address;
    const ports = portsOf(before?.port, after?.port, step);
    if (address === undefined || ports.length === 0) {
      this.#ground.fail('unmeasured');
      return;
    }
    // With one answer lost, the mapping was still the next to the other one.
    const strategy = before && after ? 'bracket' : 'extrapolate';
    this.strategy = strategy;
    this.#ground.announce({ address, ports, strategy });
    this.#ground.armed();
  }
}

/** The other side is told the ports, arms towards each, and probes them. */
export class BracketingRound implements Round {
  readonly budget = BUDGET;
  readonly #ground: Ground;
  strategy: Round['strategy'];
  #targets: Remote[] | undefined;

  constructor(ground: Ground) {
    this.#ground = ground;
  }

  arm(): void {
    this.#ground.bench.after(TELLING, () => {
      if (this.#targets === undefined) this.#ground.fail('untold');
    });
  }

  predicted(prediction: Prediction): void {
    if (this.#targets || !('ports' in prediction)) return;
    const { address, ports, strategy } = prediction;
    this.strategy = strategy;
    this.#targets = ports
      .slice(0, MAX_GUESSES)
      .map((port): Remote => ({ kind: 'predicted', address, port }))
      .filter((target) => this.#ground.remotes.isAllowed(target));
    for (const target of this.#targets) {
      const socket = this.#ground.mainSocket(target);
      if (socket !== undefined && this.#ground.filters(target)) this.#ground.arm(socket, target);
    }
    this.#ground.armed();
  }

  go(): void {
    const { checks } = this.#ground;
    for (const target of this.#targets ?? []) {
      const socket = this.#ground.mainSocket(target);
      if (socket !== undefined) checks.pair(socket, target)?.start(this.#ground.now());
    }
  }
}

function portsOf(before: number | undefined, after: number | undefined, step: number): number[] {
  if (before !== undefined && after !== undefined) return bracketPorts(before, after, step);
  if (before !== undefined) return extrapolatePorts(before, step);
  return after === undefined ? [] : extrapolatePorts(after, -step);
}
