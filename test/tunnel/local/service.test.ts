import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import type { UnderpassError } from '../../../src/errors.ts';
import type { Endpoint } from '../../../src/net/endpoint.ts';
import { systemRuntime } from '../../../src/net/runtime.ts';
import { ResetCode } from '../../../src/tunnel/channel/channel-frame.ts';
import type { OfferedPort } from '../../../src/tunnel/local/ports.ts';
import { type ServedPeer, Service } from '../../../src/tunnel/local/service.ts';
import { PeerMeter } from '../../../src/tunnel/peers.ts';
import { Application, linksIn } from '../../support/link-pair.ts';

const servers: Server[] = [];
const sockets: Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** A local service that answers with its name and what it has been told until its peer ended. */
async function echo(name: string): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => socket.end(`${name}:${Buffer.concat(chunks)}`));
    socket.on('error', () => socket.destroy());
  });
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A service behind a link. */
function serve(ports: readonly OfferedPort[], { meter = new PeerMeter(), prefix }: Partial<ServedPeer> = {}) {
  const links = linksIn(systemRuntime, { latency: 0 });
  const errors: UnderpassError[] = [];
  const service = new Service({ name: 'my-game', localHost: '127.0.0.1', ports }, (error) =>
    errors.push(error),
  );
  links.onChannel = (header, accept) => service.serve(header, accept, { meter, prefix });
  const ask = async (number: number, question: string) => {
    const application = new Application();
    const channel = links.subscriber.open(number, application);
    channel.write(Buffer.from(question));
    channel.end();
    await vi.waitFor(() => expect(application.over).toHaveLength(1));
    return { answer: application.text, over: application.over };
  };
  return { ask, errors };
}

it('reaches the port with the number that the channel names, if it is offered over TCP', async () => {
  const [one, two] = [await echo('one'), await echo('two')];
  const { ask, errors } = serve([
    { port: one, protocol: 'tcp' },
    { port: 9, protocol: 'udp' },
    { port: two, protocol: 'tcp+udp' },
  ]);
  expect(await ask(0, 'a')).toEqual({ answer: 'one:a', over: ['finished'] });
  expect(await ask(2, 'b')).toEqual({ answer: 'two:b', over: ['finished'] });
  for (const number of [1, 3, 65535]) expect((await ask(number, 'x')).over).toEqual([ResetCode.unknownPort]);
  expect(errors).toEqual([]);
});

it('tells the service the prefix before anything else, and where it was reached', async () => {
  const port = await echo('s');
  const reached: Endpoint[] = [];
  const prefix = (service: Endpoint) => {
    reached.push(service);
    return Buffer.from('PREFIX ');
  };
  const { ask } = serve([{ port, protocol: 'tcp' }], { prefix });
  expect((await ask(0, 'hello')).answer).toBe('s:PREFIX hello');
  expect((await ask(0, '')).answer).toBe('s:PREFIX ');
  expect(reached).toEqual([
    { address: '127.0.0.1', port },
    { address: '127.0.0.1', port },
  ]);
  const without = serve([{ port, protocol: 'tcp' }], { prefix: () => undefined });
  expect((await without.ask(0, 'hello')).answer).toBe('s:hello');
});

it('keeps count of what a peer does', async () => {
  const meter = new PeerMeter();
  const port = await echo('s');
  const connected: number[] = [];
  const prefix = () => {
    connected.push(meter.connections);
    return undefined;
  };
  const ports = [port, 1].map((number) => ({ port: number, protocol: 'tcp' as const }));
  const { ask, errors } = serve(ports, { meter, prefix });
  await ask(0, 'hello');
  await ask(0, '12345');
  expect([meter.bytesIn, meter.bytesOut, connected]).toEqual([10, 14, [1, 1]]);
  await ask(1, 'nobody');
  await ask(2, 'unknown');
  await vi.waitFor(() => expect(meter.connections).toBe(0));
  expect([meter.bytesOut, errors.map(({ code }) => code)]).toEqual([14, ['service_unreachable']]);
});
