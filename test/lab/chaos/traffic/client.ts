import { Random } from '../../../support/random.ts';
import { Caller } from './caller.ts';
import { Flow, total } from './flow.ts';
import { beat } from './heart.ts';
import type { Order } from './order.ts';
import { type Style, tell } from './said.ts';

// client.js PORT SEED CONNECTIONS FLOWS: keeps so many connections and flows busy through 127.0.0.1:PORT. Told `finish`, it
// opens no more, ends each in order and says `finished`. Ends with its input.

const KIB = 1024;
/** Until a place is taken again whose connection failed, in milliseconds. */
const RETRY = 2000;
/** Of ten connections. */
const MIX: readonly [Style, ...Style[]] = [
  'bulk',
  'chat',
  'bulk',
  'message',
  'chat',
  'bulk',
  'chat',
  'bulk',
  'message',
  'chat',
];

const [port = 0, seed = 0, connections = 0, flowCount = 0] = process.argv.slice(2).map(Number);
const random = new Random(seed);
const callers = new Set<Caller>();
const flows = Array.from({ length: flowCount }, (_, id) => new Flow(port, id, random.integer(2 ** 32)));
let bytes = 0;
let opened = 0;
let finishing = false;
/** Places that wait to be taken again. */
let waiting = 0;

function order(style: Style): Order {
  opened += 1;
  const rate = () => (50 + random.integer(100)) * KIB;
  const length = (64 + random.integer(448)) * KIB;
  return { id: opened, seed: random.integer(2 ** 32), style, up: rate(), down: rate(), length };
}

function open(style: Style): void {
  const caller = new Caller(port, order(style), (failed) => {
    bytes += caller.end.received;
    callers.delete(caller);
    if (finishing) {
      checkFinished();
      return;
    }
    waiting += 1;
    setTimeout(
      () => {
        waiting -= 1;
        if (!finishing) open(style);
        else checkFinished();
      },
      failed ? RETRY : 100 + random.integer(900),
    );
  });
  callers.add(caller);
}

function checkFinished(): void {
  if (callers.size + waiting === 0) tell({ event: 'finished' });
}

for (let index = 0; index < connections; index++) open(MIX[index % MIX.length] ?? 'bulk');
tell({ event: 'ready' });

beat(
  (ms) => {
    for (const caller of callers) {
      if (finishing) caller.finish();
      caller.tick(ms);
    }
    if (!finishing) for (const flow of flows) flow.tick();
  },
  () => {
    const watched = [...[...callers].map(({ end }) => end), ...(finishing ? [] : flows)];
    return {
      live: callers.size,
      stalled: watched.flatMap(({ pauses }) => pauses.stalled),
      bytes: [...callers].reduce((sum, { end }) => sum + end.received, bytes),
      datagrams: total(flows.map(({ counts }) => counts)),
    };
  },
);

process.stdin.setEncoding('utf8').on('data', (text: string) => {
  if (finishing || !text.includes('finish')) return;
  finishing = true;
  for (const { pauses } of flows) pauses.close();
  checkFinished();
});
process.stdin.on('end', () => process.exit(0));
