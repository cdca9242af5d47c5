import { setTimeout as delay } from 'node:timers/promises';
import { obstacle } from '../../test/lab/system/capability.ts';
import { type Load, startLoad } from '../load/load.ts';
import { startDirect } from '../processes/direct.ts';
import type { Stage } from '../processes/stage.ts';
import type { Tunnel } from '../processes/tunnel.ts';
import { atMost } from '../report/figure.ts';
import { printLine } from '../report/print.ts';
import { median, spread } from '../report/statistics.ts';
import type { Measurement } from './measurement.ts';

const MOST = 1000;
const LOADED_FOR = 1000;

/** Only UDP: the server is reached as before. */
const CUT = 'table ip cut { chain arriving { type filter hook input priority 0; meta l4proto udp drop; }; }';
const MEND = 'delete table ip cut';

export const failover: Measurement = {
  title: 'a direct path that goes dead under load: until a new connection is answered over the relay',

  async *run(stage, quick) {
    const problem = obstacle();
    if (problem !== undefined) {
      printLine(`  left out: ${problem}`);
      return;
    }
    stage.isolate();
    const load = await startLoad(stage);
    const tunnel = await startDirect(stage, load.port, 'auto');
    const rounds: Outage[] = [];
    while (rounds.length < (quick ? 2 : 7)) rounds.push(await outage(stage, load, tunnel));
    const answered = rounds.map(({ untilAnswered }) => untilAnswered);
    yield {
      what: 'until it is answered',
      unit: 'ms',
      subject: median(answered),
      compared: { ...spread(answered), unit: 'ms' },
      targets: [atMost(MOST)],
      details: { 'of which, ms': { 'until silent': median(rounds.map(({ untilSilent }) => untilSilent)) } },
    };
  },
};

interface Outage {
  /** Milliseconds from the cut: until the subscriber says that the path is silent, and until something is echoed. */
  readonly untilSilent: number;
  readonly untilAnswered: number;
}

/** Cuts the direct path while it is busy, measures, and mends it. */
async function outage(stage: Stage, load: Load, { port, programs }: Tunnel): Promise<Outage> {
  const transfer = await load.client.call('start', { port, mode: 'down' });
  await delay(LOADED_FOR);
  const cutAt = Date.now();
  stage.command(['nft', '-f', '-'], CUT);
  const answeredAt = await load.client.call('firstEcho', { port });
  const { time } = await programs.subscriber.latest('path', { kind: 'relayed' });
  stage.command(['nft', '-f', '-'], MEND);
  const both = [programs.subscriber, programs.publisher];
  await Promise.all(both.map((program) => program.latest('path', { kind: 'direct' })));
  await load.client.call('stop', transfer);
  return { untilSilent: Date.parse(String(time)) - cutAt, untilAnswered: answeredAt - cutAt };
}
