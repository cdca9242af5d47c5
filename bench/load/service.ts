import { type AddressInfo, createServer, type Socket } from 'node:net';
import { answer } from '../processes/rpc.ts';
import type { Place } from './echo.ts';
import { Meter, offer, pace } from './flow.ts';
import { MODES, type Mode, OFFERED_TO_STALLED, PACE, READ_BEFORE_STALL, SLOW_PACE } from './mode.ts';

// The service behind the tunnel: source, sink and echo.

const meter = new Meter();

function serve(socket: Socket, mode: Mode): void {
  switch (mode) {
    case 'down':
      offer(socket);
      break;
    case 'up':
      meter.count(socket);
      break;
    case 'both':
      meter.count(socket);
      offer(socket);
      break;
    case 'echo':
      socket.pipe(socket);
      break;
    case 'stalled down':
      offer(socket, OFFERED_TO_STALLED);
      break;
    case 'stalled up':
      meter.count(socket, READ_BEFORE_STALL);
      break;
    case 'paced down':
      pace(socket, PACE);
      break;
    case 'slow down':
      pace(socket, SLOW_PACE);
  }
}

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy());
  socket.once('data', (chunk) => {
    const mode = MODES[chunk[0] ?? -1];
    if (mode === undefined) throw new Error('a connection that is not from the client of the bench');
    socket.unshift(chunk.subarray(1));
    serve(socket, mode);
  });
});

const handlers = {
  /** Starts to listen, and returns the port. */
  listen: ({ host = '127.0.0.1', port }: Place) =>
    new Promise<number>((resolve) => {
      server.listen({ host, port, backlog: 1024 }, () => resolve((server.address() as AddressInfo).port));
    }),
  /** What has arrived, over all connections. */
  received: () => meter.read(),
};
export type ServiceHandlers = typeof handlers;
answer(handlers);
