import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { Answerer } from './answerer.ts';
import { isWhole } from './flow.ts';
import { beat } from './heart.ts';
import { NO_DATAGRAMS, tell } from './said.ts';

// service.js PORT: the service that is published, on 127.0.0.1, over TCP and UDP. Ends with its input.

const port = Number(process.argv[2]);
const answerers = new Set<Answerer>();
let bytes = 0;
let corrupted = 0;

const server = createServer({ allowHalfOpen: true }, (socket) => {
  const answerer = new Answerer(socket, () => {
    bytes += answerer.end?.received ?? 0;
    answerers.delete(answerer);
  });
  answerers.add(answerer);
});
const udp = createSocket('udp4');
udp.on('message', (message, { port: from, address }) => {
  if (isWhole(message)) udp.send(message, from, address, () => undefined);
  else corrupted += 1;
});
// Whoever sent something may be gone when it comes back.
udp.on('error', () => undefined);
udp.bind(port, '127.0.0.1', () => server.listen(port, '127.0.0.1', () => tell({ event: 'ready' })));

beat(
  (ms) => {
    for (const answerer of answerers) answerer.tick(ms);
  },
  () => {
    const ends = [...answerers].flatMap(({ end }) => end ?? []);
    return {
      live: ends.length,
      stalled: ends.flatMap(({ pauses }) => pauses.stalled),
      bytes: ends.reduce((sum, { received }) => sum + received, bytes),
      datagrams: { ...NO_DATAGRAMS, corrupted },
    };
  },
);
process.stdin.on('end', () => process.exit(0)).resume();
