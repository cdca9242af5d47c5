import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { systemRuntime } from '../../../src/net/runtime.ts';
import { INITIAL_CREDIT, ResetCode } from '../../../src/tunnel/channel/channel-frame.ts';
import { Forward, SOCKET_BUFFER } from '../../../src/tunnel/local/forward.ts';
import { linksIn } from '../../support/link-pair.ts';
import { patternAt } from '../../support/session-world.ts';

const open: { destroy(): void }[] = [];
const servers: Server[] = [];

afterEach(async () => {
  for (const socket of open.splice(0)) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => new Promise((done) => server.close(done))));
});

/** A listening server on a free port; returns the port and the sockets as they come. */
async function listen(options = {}): Promise<{ port: number; next: () => Promise<Socket>; server: Server }> {
  const server = createServer({ allowHalfOpen: true, ...options });
  const waiting: Socket[] = [];
  let wake: (() => void) | undefined;
  server.on('connection', (socket) => {
    open.push(socket);
    waiting.push(socket);
    wake?.();
  });
  server.listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const next = async () => {
    while (waiting.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    return waiting.shift() as Socket;
  };
  return { port: address.port, next, server };
}

function dial(port: number, options = {}): Socket {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, ...options });
  socket.on('error', () => {});
  open.push(socket);
  return socket;
}

interface Ends {
  /** What each forward said at its end. */
  readonly subscriber: (number | undefined)[];
  readonly publisher: (number | undefined)[];
}

/** An application's connection to a service, through two forwards. */
async function forwarded({ serviceRuns = true } = {}) {
  const links = linksIn(systemRuntime, { latency: 0 });
  const buffers = { highWaterMark: SOCKET_BUFFER };
  const [entrance, service] = [await listen(buffers), await listen()];
  const ends: Ends = { subscriber: [], publisher: [] };
  links.onChannel = (_header, accept) => {
    const socket = dial(service.port, buffers);
    const forward = new Forward(socket, (code) => ends.publisher.push(code));
    forward.connecting();
    forward.start(accept(forward));
  };
  if (!serviceRuns) service.server.close();
  const application = dial(entrance.port);
  const local = await entrance.next();
  const forward = new Forward(local, (code) => ends.subscriber.push(code));
  forward.start(links.subscriber.open(0, forward));
  return { ...links, application, service, ends };
}

/** All bytes up to the end. (`stream/consumers` would destroy the socket there, and there is a direction left.) */
async function buffer(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.resume();
  await once(socket, 'end');
  return Buffer.concat(chunks);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** How a connection ended, as its application sees it. */
function fate(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.once('close', () => resolve('closed'));
  });
}

describe('a forward', () => {
  it('carries a request and its answer, with half-close both ways', async () => {
    const { application, service, ends, subscriber, publisher } = await forwarded();
    application.end('question');
    const served = await service.next();
    expect((await buffer(served)).toString()).toBe('question');
    served.end('answer');
    expect((await buffer(application)).toString()).toBe('answer');
    await until(() => ends.subscriber.length + ends.publisher.length === 2);
    expect(ends).toEqual({ subscriber: [undefined], publisher: [undefined] });
    expect([subscriber.channelCount, publisher.channelCount]).toEqual([0, 0]);
    await until(() => application.destroyed && served.destroyed);
  });

  it('carries the answer of a service that was told all, to its last byte', async () => {
    const { application, service, ends } = await forwarded();
    application.end();
    const served = await service.next();
    await buffer(served);
    const answer = Buffer.concat([patternAt(0, 500_000), patternAt(500_000, 500_000)]);
    served.end(answer);
    expect((await buffer(application)).equals(answer)).toBe(true);
    await until(() => ends.subscriber.length + ends.publisher.length === 2);
    expect(ends).toEqual({ subscriber: [undefined], publisher: [undefined] });
  });

  it('carries the last bytes of an application that is gone before they could leave', async () => {
    const { application, service, client, ends } = await forwarded();
    const served = await service.next();
    served.end();
    await buffer(application);
    client.wire.stalled = true;
    // More than the first credit: some of it stays in the channel.
    application.end(patternAt(0, INITIAL_CREDIT + 40_000));
    await until(() => application.destroyed);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(ends.subscriber).toEqual([]);
    client.wire.resume();
    expect((await buffer(served)).equals(patternAt(0, INITIAL_CREDIT + 40_000))).toBe(true);
    await until(() => ends.subscriber.length + ends.publisher.length === 2);
    expect(ends).toEqual({ subscriber: [undefined], publisher: [undefined] });
  });

  it('carries megabytes in both directions at once', async () => {
    const { application, service } = await forwarded();
    const served = await service.next();
    const part = patternAt(0, 500_000);
    for (let i = 0; i < 6; i++) {
      application.write(part);
      served.write(part);
    }
    application.end();
    served.end();
    const [up, down] = await Promise.all([buffer(served), buffer(application)]);
    const all = Buffer.concat(Array.from({ length: 6 }, () => part));
    expect([up.equals(all), down.equals(all)]).toEqual([true, true]);
  });

  it('stops the application within bounds when the service does not read', async () => {
    const { application, service } = await forwarded();
    const served = await service.next();
    served.pause();
    let taken = 0;
    const chunk = Buffer.alloc(64 * 1024);
    const pump = (error?: Error | null) => {
      if (error) return;
      application.write(chunk, (failed) => {
        taken += chunk.length;
        pump(failed);
      });
    };
    pump();
    let before = -1;
    while (taken !== before) {
      before = taken;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    // Two pairs of kernel buffers, the sockets' own, and the channel's credit; nothing near what was offered.
    expect(taken).toBeLessThan(40 * 1024 * 1024);
    let read = 0;
    served.on('data', (bytes: Buffer) => {
      read += bytes.length;
    });
    served.resume();
    await until(() => read > taken / 2 && read > INITIAL_CREDIT);
  });

  it('shows the application a reset when the service resets, and the other way round', async () => {
    const down = await forwarded();
    const served = await down.service.next();
    served.write('hello');
    await once(down.application, 'data');
    const end = fate(down.application);
    served.resetAndDestroy();
    expect(await end).toBe('ECONNRESET');
    expect(down.ends.subscriber).toEqual([ResetCode.closed]);
    const up = await forwarded();
    const reached = await up.service.next();
    const fateThere = fate(reached);
    up.application.resetAndDestroy();
    expect(await fateThere).toBe('ECONNRESET');
    await until(() => up.ends.publisher.length === 1);
    expect(up.ends.publisher).toEqual([ResetCode.closed]);
  });

  it('says that the service is not there, when it refuses', async () => {
    const { application, ends } = await forwarded({ serviceRuns: false });
    application.write('anybody?');
    expect(await fate(application)).toBe('ECONNRESET');
    await until(() => ends.publisher.length === 1);
    expect(ends).toEqual({
      subscriber: [ResetCode.serviceUnreachable],
      publisher: [ResetCode.serviceUnreachable],
    });
  });

  it('resets the application when the link goes', async () => {
    const { application, service, client, ends } = await forwarded();
    const served = await service.next();
    const fates = Promise.all([fate(application), fate(served)]);
    client.mux.close();
    expect(await fates).toEqual(['ECONNRESET', 'ECONNRESET']);
    expect(ends).toEqual({ subscriber: [ResetCode.closed], publisher: [ResetCode.closed] });
  });

  it('gives up a service that is still being reached when the channel is reset', async () => {
    const links = linksIn(systemRuntime, { latency: 0 });
    // The name is never found: the connection stays half-made.
    const socket = connect({ port: 9, host: 'service.test', lookup: () => {} });
    open.push(socket);
    const codes: (number | undefined)[] = [];
    links.onChannel = (_header, accept) => {
      const forward = new Forward(socket, (code) => codes.push(code));
      forward.connecting();
      forward.start(accept(forward));
    };
    const near = links.open();
    await until(() => links.publisher.channelCount === 1);
    near.channel.reset(ResetCode.closed);
    await until(() => codes.length > 0);
    expect(codes).toHaveLength(1);
    await until(() => socket.destroyed);
  });
});
