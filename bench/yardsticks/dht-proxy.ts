import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import DHT, { type Address } from 'hyperdht';
import createTestnet from 'hyperdht/testnet.js';
import { answer } from '../processes/rpc.ts';

// A bare proxy over hyperdht: a socket of it for each TCP connection. It is what the direct path would like to be as fast as.

const HOST = '127.0.0.1';

const handlers = {
  /** Runs nodes that introduce the others to each other. */
  introduce: async () => (await createTestnet(3)).bootstrap,
  /** Accepts, and goes on to the service. Returns under which key, in hex. */
  publish: async ({ bootstrap, servicePort }: { bootstrap: readonly Address[]; servicePort: number }) => {
    const keyPair = DHT.keyPair();
    const server = new DHT({ bootstrap, host: HOST, firewalled: false }).createServer((far) => {
      join(far, connect({ host: HOST, port: servicePort, noDelay: true, allowHalfOpen: true }));
    });
    await server.listen(keyPair);
    return keyPair.publicKey.toString('hex');
  },
  /** Returns where TCP connections are accepted from now on. */
  subscribe: async ({ bootstrap, key }: { bootstrap: readonly Address[]; key: string }) => {
    const node = new DHT({ bootstrap, host: HOST, firewalled: false });
    const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
      join(near, node.connect(Buffer.from(key, 'hex')));
    });
    server.listen({ host: HOST, port: 0 });
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  },
};
export type DhtProxyHandlers = typeof handlers;
answer(handlers);

function join(one: Duplex, other: Duplex): void {
  one.pipe(other).pipe(one);
  for (const [stream, peer] of [
    [one, other],
    [other, one],
  ] as const) {
    stream.on('error', () => stream.destroy());
    stream.on('close', () => peer.destroy());
  }
}
