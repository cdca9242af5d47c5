import type { WebSocket } from 'ws';
import { answer } from '../processes/rpc.ts';
import { openPublisher, openWebSocket } from './signaling.ts';

// Many clients of one server, in one process.

export interface Crowd {
  readonly url: string;
  readonly kind: 'publisher' | 'websocket';
  readonly count: number;
}

/** How many are opened at a time. */
const AT_A_TIME = 25;
/** As the protocol asks of every client. */
const HEARTBEAT = 30_000;

const open = new Set<WebSocket>();
let lastName = 0;

async function enter({ url, kind, count }: Crowd): Promise<void> {
  for (let opened = 0; opened < count; opened += AT_A_TIME) {
    const group = Array.from({ length: Math.min(AT_A_TIME, count - opened) }, async () => {
      // A name is held for whoever had it for a while: none is used twice.
      lastName += 1;
      const name = `idle-${process.pid}-${lastName}`;
      const websocket = await (kind === 'publisher' ? openPublisher(url, name) : openWebSocket(url));
      open.add(websocket);
      websocket.on('close', () => open.delete(websocket));
      websocket.on('error', () => websocket.terminate());
    });
    await Promise.all(group);
  }
}

async function leave(): Promise<void> {
  const gone = [...open].map(
    (websocket) =>
      new Promise((resolve) => {
        websocket.on('close', resolve);
        websocket.close(1000);
      }),
  );
  await Promise.all(gone);
}

setInterval(() => {
  const ping = JSON.stringify({ type: 'ping', timestamp: Date.now() });
  for (const websocket of open) websocket.send(ping);
}, HEARTBEAT);

const handlers = { enter, leave, present: () => open.size };
export type CrowdHandlers = typeof handlers;
answer(handlers);
