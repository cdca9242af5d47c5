import { createServer as createPlainServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { memory } from '../processes/memory.ts';
import { answer } from '../processes/rpc.ts';

// A server that only accepts WebSockets: what an idle client costs at least.

const handlers = {
  /** @param pem a certificate with its key, for `wss`. Returns the port. */
  listen: (pem: string | undefined) =>
    new Promise<number>((resolve) => {
      const server = pem === undefined ? createPlainServer() : createTlsServer({ cert: pem, key: pem });
      new WebSocketServer({ server, perMessageDeflate: false });
      server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, () =>
        resolve((server.address() as AddressInfo).port),
      );
    }),
  memory,
};
export type WebSocketsHandlers = typeof handlers;
answer(handlers);
