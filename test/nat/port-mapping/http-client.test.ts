import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { askDevice } from '../../../src/nat/port-mapping/http-client.ts';

const cleanups: (() => unknown)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function serve(listener: RequestListener): Promise<URL> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/x`);
}

const options = (signal = AbortSignal.timeout(5000)) => ({
  method: 'POST' as const,
  localAddress: '127.0.0.1',
  signal,
});

describe('asking a device by HTTP', () => {
  it('sends a body and brings back an answer, a redirect like any other', async () => {
    const url = await serve(async (request, response) => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece);
      response
        .writeHead(307, { location: '/elsewhere' })
        .end(`${request.headers['x-y']} ${Buffer.concat(pieces)}`);
    });
    const answer = await askDevice(url, { ...options(), headers: { 'x-y': '1' }, body: 'né' });
    expect(answer).toEqual({ status: 307, body: '1 né' });
  });

  it('reads 256 KiB and no more, and hangs up', async () => {
    const size = 256 * 1024;
    const exact = await serve((_, response) => response.end('x'.repeat(size)));
    expect((await askDevice(exact, options())).body).toHaveLength(size);
    let closed: Promise<unknown> = Promise.reject(new Error('not asked'));
    closed.catch(() => undefined);
    const endless = await serve((_, response) => {
      closed = once(response, 'close');
      const fill = () => {
        while (!response.destroyed && response.write('x'.repeat(size)));
      };
      response.on('drain', fill);
      fill();
    });
    await expect(askDevice(endless, options())).rejects.toThrow('too long');
    await closed;
  });

  it('ends with its signal, before and during the answer', async () => {
    const silent = await serve(() => undefined);
    await expect(askDevice(silent, options(AbortSignal.timeout(20)))).rejects.toThrow();
    await expect(askDevice(silent, options(AbortSignal.abort()))).rejects.toThrow();
    const slow = await serve((_, response) => response.write('x'));
    await expect(askDevice(slow, options(AbortSignal.timeout(20)))).rejects.toThrow();
  });
});
