import { setTimeout as delay } from 'node:timers/promises';
import { cpuTime } from '../processes/cpu.ts';
import type { Participant, Path } from '../processes/path.ts';
import type { Worker } from '../processes/rpc.ts';
import type { Stage } from '../processes/stage.ts';
import type { DatagramsHandlers } from './datagrams.ts';

/** Which way datagrams go: `up` to the service. */
export type Way = 'up' | 'down';

export interface Delivery {
  readonly sent: number;
  readonly arrived: number;
  /** Datagrams per second, by the clock of whoever receives them. */
  readonly rate: number;
  /** Processor time by role, microseconds per datagram that arrived. */
  readonly cpu: ReadonlyMap<string, number>;
}

export interface UdpOffer {
  readonly way: Way;
  /** Datagrams per second. */
  readonly rate: number;
  readonly duration: number;
}

const SIZE = 1000;
/** As long as this nothing arrives, nothing is on the way any more. */
const QUIET = 100;
const GREETING = { rate: 200, duration: 50 };
const PATIENCE = 20_000;

/** An application that speaks UDP, and the service that it wants, a process each. */
export class UdpLoad {
  readonly #client: Worker<DatagramsHandlers>;
  readonly #service: Worker<DatagramsHandlers>;
  #run = 0;
  #participants: readonly Participant[] = [];

  /** Returns it with the port of the service. */
  static async start(stage: Stage): Promise<readonly [UdpLoad, number]> {
    const client = stage.worker<DatagramsHandlers>('load/datagrams');
    const service = stage.worker<DatagramsHandlers>('load/datagrams');
    await client.call('open', {});
    return [new UdpLoad(client, service), await service.call('open', {})];
  }

  private constructor(client: Worker<DatagramsHandlers>, service: Worker<DatagramsHandlers>) {
    this.#client = client;
    this.#service = service;
  }

  /** The application turns to a path, and some of its datagrams get through: the service knows where to answer. */
  async turnTo({ name, port, participants }: Path): Promise<void> {
    this.#participants = [
      ...participants,
      { role: 'client', pid: this.#client.pid },
      { role: 'service', pid: this.#service.pid },
    ];
    await this.#client.call('aim', port);
    const deadline = performance.now() + PATIENCE;
    while (performance.now() < deadline) {
      this.#run += 1;
      await this.#client.call('offer', { run: this.#run, size: SIZE, ...GREETING });
      await delay(QUIET);
      if ((await this.#service.call('arrived', this.#run)).count > 0) return;
    }
    throw new Error(`no datagram came through ${name}`);
  }

  /** Sends for a while on the path that was last turned to, and waits for all that still comes. */
  async deliver({ way, rate, duration }: UdpOffer): Promise<Delivery> {
    const [from, to] = way === 'up' ? [this.#client, this.#service] : [this.#service, this.#client];
    this.#run += 1;
    const run = this.#run;
    const spentBefore = this.#participants.map(({ pid }) => cpuTime(pid));
    const sent = await from.call('offer', { run, rate, duration, size: SIZE });
    let arrived = await to.call('arrived', run);
    for (let before = -1; arrived.count > before; ) {
      before = arrived.count;
      await delay(QUIET);
      arrived = await to.call('arrived', run);
    }
    const { count, took } = arrived;
    const spent = ({ pid }: Participant, i: number) => cpuTime(pid) - (spentBefore[i] ?? Number.NaN);
    return {
      sent,
      arrived: count,
      rate: count > 1 ? ((count - 1) / took) * 1000 : 0,
      cpu: new Map(this.#participants.map((one, i) => [one.role, spent(one, i) / count])),
    };
  }
}
