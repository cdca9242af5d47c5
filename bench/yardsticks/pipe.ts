import { createSocket } from 'node:dgram';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { answer } from '../processes/rpc.ts';

// A bare proxy: what arrives goes on as it is, both ways. Nothing that relays in Node can do less.

const HOST = '127.0.0.1';

const open = () =>
  createSocket({ type: 'udp4', lookup: (address, _options, callback) => callback(null, address, 4) });

const handlers = {
  /** Starts to listen, for connections that go on to a port of this machine. Returns where it listens. */
  listen: (target: number) =>
    new Promise<number>((resolve) => {
      const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
        const far = connect({ host: HOST, port: target, noDelay: true, allowHalfOpen: true });
        join(near, far);
        join(far, near);
      });
      server.listen({ host: HOST, port: 0, backlog: 1024 }, () =>
        resolve((server.address() as AddressInfo).port),
      );
    }),
  /** The same for the datagrams of one application. */
  listenUdp: (target: number) =>
    new Promise<number>((resolve) => {
      const [near, far] = [open(), open()];
      let application = 0;
      near.on('message', (datagram, { port }) => {
        application = port;
        far.send(datagram, target, HOST);
      });
      far.on('message', (datagram) => near.send(datagram, application, HOST));
      far.bind({ address: HOST });
      near.bind({ address: HOST }, () => resolve(near.address().port));
    }),
};
export type PipeHandlers = typeof handlers;
answer(handlers);

function join(from: Socket, to: Socket): void {
  from.pipe(to);
  from.on('error', () => from.destroy());
  from.on('close', (failed) => failed && to.destroy());
}
