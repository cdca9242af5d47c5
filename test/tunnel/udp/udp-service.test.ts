import { afterEach, describe, expect, it } from 'vitest';
import type { UnderpassError } from '../../../src/errors.ts';
import type { Runtime } from '../../../src/net/runtime.ts';
import { systemRuntime } from '../../../src/net/runtime.ts';
import { UdpListener } from '../../../src/tunnel/udp/udp-listener.ts';
import { type UdpPeer, UdpService, type UdpServiceOptions } from '../../../src/tunnel/udp/udp-service.ts';
import { DatagramCarrier, DatagramEnd } from '../../support/datagram-pair.ts';
import { LocalUdp } from '../../support/local-udp.ts';
import { Random } from '../../support/random.ts';
import { VirtualRuntime } from '../../support/virtual-runtime.ts';

const open: { close(): void }[] = [];

afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

async function local(host?: string, port?: number): Promise<LocalUdp> {
  const socket = await LocalUdp.open(host, port);
  open.push(socket);
  return socket;
}

/** A publisher's service, and its answers by flow. */
function published(
  targets: UdpServiceOptions['targets'],
  options: Partial<UdpServiceOptions> = {},
  peer: Partial<UdpPeer> = {},
) {
  const failures: string[] = [];
  const onFailure = (error: UnderpassError) => failures.push(error.code);
  const service = new UdpService({
    ...{ runtime: systemRuntime, name: 'my-game', targets, onFailure },
    idle: 60_000,
    ...options,
  });
  const link = () => {
    const answers: { port: number; flow: number; payload: Buffer }[] = [];
    let wake = () => {};
    const made = service.link({
      onDatagram: (port, flow, payload) => {
        answers.push({ port, flow, payload });
        wake();
      },
      ...peer,
    });
    open.push(made);
    const next = async () => {
      while (answers.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      return answers.shift() as { port: number; flow: number; payload: Buffer };
    };
    const ask = async (flow: number, text: string, port = 0) => {
      made.receive(port, flow, Buffer.from(text));
      const answer = await next();
      return `${answer.port} ${answer.flow} ${answer.payload}`;
    };
    return { link: made, ask, next };
  };
  return { service, failures, connect: link, ...link() };
}

describe('a publisher of UDP', () => {
  it('has a socket of its own for each flow', async () => {
    const game = await local();
    const { link } = published([{ host: '127.0.0.1', port: game.port }]);
    link.receive(0, 1, Buffer.from('a'));
    link.receive(0, 2, Buffer.from('b'));
    link.receive(0, 1, Buffer.from('c'));
    const heard = [await game.next(), await game.next(), await game.next()];
    const portOf = (text: string) => heard.find(({ bytes }) => String(bytes) === text)?.from.port;
    expect(portOf('a')).toBe(portOf('c'));
    expect(portOf('a')).not.toBe(portOf('b'));
    expect(link.flowCount).toBe(2);
  });

  it('gives answers to their flow and port', async () => {
    const [one, other] = [(await local()).echo(), (await local('::1')).echo()];
    const { ask, link } = published([
      ...[{ host: '127.0.0.1', port: one.port }, undefined, { host: '::1', port: other.port }],
    ]);
    expect(await ask(5, 'a')).toBe('0 5 a');
    expect(await ask(5, 'b', 2)).toBe('2 5 b');
    expect(await ask(5, '')).toBe('0 5 ');
    link.receive(1, 5, Buffer.from('not offered'));
    link.receive(3, 5, Buffer.from('not offered'));
    expect([link.flowCount, link.dropped]).toEqual([2, 2]);
  });

  it.each(['127.0.0.1', '::1'])('finds a service of localhost that is on %s only', async (host) => {
    const game = (await local(host)).echo();
    const { ask, failures } = published([{ host: 'localhost', port: game.port }]);
    expect(await ask(1, 'a')).toBe('0 1 a');
    expect(await ask(1, 'b')).toBe('0 1 b');
    expect(await ask(2, 'c')).toBe('0 2 c');
    expect(failures).toEqual([]);
  });

  it('waits for a service that is not there yet, and for one that is away', async () => {
    const place = await LocalUdp.open();
    const { port } = place;
    place.close();
    for (const host of ['127.0.0.1', 'localhost']) {
      const runtime = new VirtualRuntime();
      const { ask, link, failures } = published([{ host, port }], { runtime });
      for (let round = 0; round < 2; round++) {
        link.receive(0, 1, Buffer.from('too early'));
        await until(() => failures.length === round + 1);
        runtime.advance(60);
        const game = (await LocalUdp.open('127.0.0.1', port)).echo();
        expect(await ask(1, 'a')).toBe('0 1 a');
        expect(link.flowCount).toBe(1);
        game.close();
      }
      expect(failures).toEqual(['service_unreachable', 'service_unreachable']);
    }
  });

  it('puts a prefix in front of what a service hears first, also of the one that is there next', async () => {
    const game = await LocalUdp.open();
    const { port } = game;
    const runtime = new VirtualRuntime();
    const firstDatagramPrefix = (port: number, flow: number) => Buffer.from(`<${port} ${flow}>`);
    const options = { runtime };
    const { link, failures } = published([{ host: '127.0.0.1', port }], options, { firstDatagramPrefix });
    link.receive(0, 3, Buffer.from('a'));
    link.receive(0, 3, Buffer.from('b'));
    expect([await game.text(), await game.text()]).toEqual(['<0 3>a', 'b']);
    game.close();
    link.receive(0, 3, Buffer.from('lost'));
    await until(() => failures.length === 1);
    const next = await local('127.0.0.1', port);
    link.receive(0, 3, Buffer.from('c'));
    link.receive(0, 3, Buffer.from('d'));
    expect([await next.text(), await next.text()]).toEqual(['<0 3>c', 'd']);
  });

  it('lets nobody get around the prefix with a payload that has no room for it', async () => {
    const game = await local();
    const firstDatagramPrefix = () => Buffer.from('<who>');
    const { link } = published([{ host: '127.0.0.1', port: game.port }], {}, { firstDatagramPrefix });
    link.receive(0, 1, Buffer.alloc(65_507));
    link.receive(0, 1, Buffer.from('<me>a'));
    expect(await game.text()).toBe('<who><me>a');
  });

  it('keeps little for sockets that are being made', async () => {
    const game = await local();
    const { link, service } = published([{ host: '127.0.0.1', port: game.port }]);
    for (let i = 0; i < 100; i++) link.receive(0, 1, Buffer.from(`${i}`));
    expect(await game.text()).toBe('84');
    link.close();
    expect([link.dropped, service.flowCount]).toEqual([84, 0]);
    link.receive(0, 1, Buffer.from('too late'));
    expect(link.flowCount).toBe(0);
  });

  it('ends a flow after its last packet in either direction', async () => {
    const game = (await local()).echo();
    const runtime = new VirtualRuntime();
    const { ask, link } = published([{ host: '127.0.0.1', port: game.port }], { runtime, idle: 60_000 });
    for (let i = 0; i < 3; i++) {
      expect(await ask(1, 'a')).toBe('0 1 a');
      runtime.advance(59_999);
    }
    expect(link.flowCount).toBe(1);
    runtime.advance(1);
    expect(link.flowCount).toBe(0);
    expect(await ask(1, 'b')).toBe('0 1 b');
    link.close();
    expect(runtime.pendingTimers).toBe(0);
  });

  it('has so many flows for a link, and so many in all, of which the largest link gives one up', async () => {
    const game = await local();
    const limits = { maxLinkFlows: 4, maxFlows: 6 };
    const { link, connect, service } = published([{ host: '127.0.0.1', port: game.port }], limits);
    for (let flow = 0; flow < 9; flow++) link.receive(0, flow, Buffer.from('a'));
    expect(link.flowCount).toBe(4);
    const others = [connect().link, connect().link];
    for (const other of others) for (let flow = 0; flow < 2; flow++) other.receive(0, flow, Buffer.from('b'));
    expect([link, ...others].map(({ flowCount }) => flowCount)).toEqual([2, 2, 2]);
    expect(service.flowCount).toBe(6);
  });

  it('tells once that the name of its service is unknown', async () => {
    const { link, failures } = published([{ host: 'no.such.host.invalid', port: 9 }]);
    link.receive(0, 1, Buffer.from('a'));
    link.receive(0, 2, Buffer.from('a'));
    await until(() => failures.length > 0);
    expect(failures).toEqual(['service_unreachable']);
  });
});

describe('from end to end, over datagrams of 1,200 bytes', () => {
  async function tunnel(runtime: Runtime = systemRuntime) {
    const game = (await local()).echo();
    const time = new VirtualRuntime();
    const [near, far] = [new DatagramEnd(time), new DatagramEnd(time)];
    const road = { maxDatagram: 1200, loss: 0, delay: 0, burst: 1000 };
    const random = new Random(1);
    near.datagrams.use(new DatagramCarrier(near.datagrams, far.datagrams, time, random, road));
    far.datagrams.use(new DatagramCarrier(far.datagrams, near.datagrams, time, random, road));
    const service = new UdpService({
      ...{ runtime, name: 'my-game', idle: 60_000, onFailure: () => {} },
      targets: [{ host: 'localhost', port: game.port }],
    });
    const peer = service.link({
      onDatagram: (port, flow, payload) => {
        far.datagrams.send(port, flow, payload);
        time.advance(1);
        for (const one of near.received.splice(0)) listener.send(one.flow, one.payload);
      },
    });
    const listener = new UdpListener({
      runtime,
      idle: 60_000,
      onDatagram: (flow, payload) => {
        near.datagrams.send(0, flow, payload);
        time.advance(1);
        for (const one of far.received.splice(0)) peer.receive(one.port, one.flow, one.payload);
      },
    });
    open.push(peer, listener);
    const port = Number((await listener.listen('127.0.0.1', 0)).split(':')[1]);
    return { port, listener, peer };
  }

  it('every size comes back', async () => {
    const { port } = await tunnel();
    const one = await local();
    for (const size of [1, 0, 1193, 1194, 9000, 65_507]) {
      const bytes = new Random(size).bytes(size);
      one.send(bytes, port);
      expect((await one.next()).bytes.equals(bytes)).toBe(true);
    }
  });

  it('a thousand flows are each their own', async () => {
    const { port, listener, peer } = await tunnel();
    const all = await Promise.all(Array.from({ length: 1000 }, () => local()));
    for (let round = 0; round < 2; round++) {
      // As many at a time as any system's socket has room for.
      for (let at = 0; at < all.length; at += 50) {
        const some = all.slice(at, at + 50);
        for (const [i, one] of some.entries()) one.send(`${round} ${at + i}`, port);
        const heard = await Promise.all(some.map((one) => one.text()));
        expect(heard).toEqual(some.map((_, i) => `${round} ${at + i}`));
      }
    }
    expect([listener.flowCount, peer.flowCount]).toEqual([1000, 1000]);
  });
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
