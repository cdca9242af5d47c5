import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CrowdHandlers } from '../load/crowd.ts';
import type { Memory } from '../processes/memory.ts';
import { SCHEMES, type Scheme, startServer } from '../processes/relay.ts';
import type { Worker } from '../processes/rpc.ts';
import type { Stage } from '../processes/stage.ts';
import { atMost, type Figure } from '../report/figure.ts';
import { total } from '../report/statistics.ts';
import type { WebSocketsHandlers } from '../yardsticks/websockets.ts';
import type { Measurement } from './measurement.ts';

const KIB = 1024;
const PUBLISHERS = 2000;
const MOST_RESIDENT: Readonly<Record<Scheme, number>> = { ws: 20, wss: 60 };

/** Clients that come and go first, so that what a server needs once is not counted. */
const WARM_UP = 40;
/** Until nothing of the handshakes is going on any more. */
const SETTLE = 2000;

/** All come from one address. */
const LIMITS = 'limits: { connections_per_ip_per_minute: 1000000 }\n';

export const idle: Measurement = {
  title: '2,000 idle publishers: memory of the server for each, beside a server of bare WebSockets',

  async *run(stage, quick) {
    const crowds = [1, 2].map(() => stage.worker<CrowdHandlers>('load/crowd'));
    const count = quick ? PUBLISHERS / 4 : PUBLISHERS;
    for (const scheme of SCHEMES) yield await compare(stage, crowds, scheme, count);
  },
};

type Crowds = readonly Worker<CrowdHandlers>[];

async function compare(stage: Stage, crowds: Crowds, scheme: Scheme, count: number): Promise<Figure> {
  const config = join(stage.folder(), 'server.yml');
  writeFileSync(config, LIMITS);
  const server = await startServer(stage, scheme, '--config', config);
  const publishers = await costOfEach(
    crowds,
    { url: String(server.ready.listen), kind: 'publisher', count },
    () => server.probe.call('memory'),
  );

  const bare = stage.worker<WebSocketsHandlers>('yardsticks/websockets');
  const pem =
    scheme === 'wss' ? readFileSync(join(server.home, '.underpass', 'server.pem'), 'utf8') : undefined;
  const url = `${scheme}://127.0.0.1:${await bare.call('listen', pem)}`;
  const websockets = await costOfEach(crowds, { url, kind: 'websocket', count }, () => bare.call('memory'));

  return {
    what: `over ${scheme}`,
    unit: 'KiB resident each',
    subject: publishers.rss,
    yardstick: websockets.rss,
    targets: [atMost(MOST_RESIDENT[scheme])],
    details: { 'heap and external, KiB': { publisher: publishers.held, websocket: websockets.held } },
  };
}

/** How much a server grows for each client, in KiB. */
async function costOfEach(
  crowds: Crowds,
  { count, ...crowd }: { url: string; kind: 'publisher' | 'websocket'; count: number },
  look: () => Promise<Memory>,
): Promise<Memory> {
  const enter = (each: number) => Promise.all(crowds.map((c) => c.call('enter', { ...crowd, count: each })));
  const leave = () => Promise.all(crowds.map((c) => c.call('leave')));
  await enter(WARM_UP / crowds.length);
  await leave();
  await delay(SETTLE);
  const before = await look();
  await enter(count / crowds.length);
  await delay(SETTLE);
  const after = await look();
  const present = await Promise.all(crowds.map((c) => c.call('present')));
  if (total(present) !== count) throw new Error('clients were lost meanwhile');
  await leave();
  const each = (of: keyof Memory) => (after[of] - before[of]) / count / KIB;
  return { rss: each('rss'), held: each('held') };
}
