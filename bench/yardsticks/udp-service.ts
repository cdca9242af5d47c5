import { createSocket } from 'node:dgram';
import { answer } from '../processes/rpc.ts';

// Sends every datagram back to where it came from.

const socket = createSocket('udp4');
socket.on('message', (bytes, { address, port }) => socket.send(bytes, port, address));

const handlers = {
  /** Where it listens. */
  port: () =>
    new Promise<number>((resolve) => {
      socket.bind({ address: '127.0.0.1' }, () => resolve(socket.address().port));
    }),
};
export type UdpServiceHandlers = typeof handlers;
answer(handlers);
