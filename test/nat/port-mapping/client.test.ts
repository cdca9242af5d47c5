import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../../../src/log.ts';
import { PortMapper, type PortMappingOptions } from '../../../src/nat/port-mapping/client.ts';
import type { PortMapping } from '../../../src/nat/report.ts';
import { systemRuntime } from '../../../src/net/runtime.ts';
import { FakeIgd } from './fake-igd.ts';
import { loopbackAddress } from './loopback.ts';
import { VirtualRouter } from './virtual-router.ts';

const PORT = 41234;
const LOCAL = '127.0.0.1';
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Port 5351 of an address, answered by a router in memory. */
async function openRouter(address: string, port = 5351): Promise<VirtualRouter & { socket: Socket }> {
  const router = new VirtualRouter();
  const socket = createSocket('udp4');
  socket.on('message', (bytes, from) => {
    for (const answer of router.answer(bytes)) socket.send(answer, from.port, from.address);
  });
  socket.bind(port, address);
  await once(socket, 'listening');
  cleanups.push(() => socket.close());
  return Object.assign(router, { socket });
}

async function openIgd(address: string): Promise<FakeIgd> {
  const igd = await new FakeIgd(address).open();
  cleanups.push(() => igd.close());
  return igd;
}

function mapper(gateway: string, options: Partial<PortMappingOptions> = {}) {
  const changes: (PortMapping | undefined)[] = [];
  const made = new PortMapper(
    {
      runtime: systemRuntime,
      log: silentLogger,
      gateway,
      localAddress: LOCAL,
      localPort: PORT,
      upnpTimeoutMs: 600,
      ...options,
    },
    (mapping) => changes.push(mapping),
  );
  cleanups.push(() => made.close());
  return { mapper: made, changes };
}

async function timed<T>(work: Promise<T>): Promise<{ result: T; took: number }> {
  const started = performance.now();
  return { result: await work, took: performance.now() - started };
}

describe('a port mapper', () => {
  it('maps by PCP, and a router that speaks everything holds one mapping', async () => {
    const address = loopbackAddress();
    const router = await openRouter(address);
    const igd = await openIgd(address);
    const { mapper: made, changes } = mapper(address);
    const mapping = { protocol: 'pcp', external_address: `45.80.1.7:${PORT}` };
    expect(await made.start()).toEqual(mapping);
    expect(changes).toEqual([mapping]);
    expect(router.table.get(PORT)).toBe(PORT);
    await made.close();
    expect(router.table.size).toBe(0);
    expect(igd.table.size).toBe(0);
    expect(igd.asked).not.toContain('AddPortMapping');
  });

  it('maps by NAT-PMP', async () => {
    const address = loopbackAddress();
    const router = await openRouter(address);
    router.speaks.pcp = false;
    const { mapper: made } = mapper(address);
    expect(await made.start()).toEqual({ protocol: 'nat-pmp', external_address: `45.80.1.7:${PORT}` });
    await made.close();
    expect(router.table.size).toBe(0);
  });

  it('maps by UPnP when the others have come to nothing, and gives it back', async () => {
    const address = loopbackAddress();
    const igd = await openIgd(address);
    const { mapper: made, changes } = mapper(address);
    const { result, took } = await timed(made.start());
    expect(result).toEqual({ protocol: 'upnp', external_address: `45.80.1.7:${PORT}` });
    expect(changes).toEqual([result]);
    expect(igd.table.get(PORT)).toBe(`${LOCAL}:${PORT}`);
    expect(igd.leases).toEqual([7200]);
    expect(took).toBeLessThan(500);
    await made.close();
    expect(igd.table.size).toBe(0);
    expect(changes).toHaveLength(1);
  });

  it('says why a router would not', async () => {
    const address = loopbackAddress();
    const router = await openRouter(address);
    router.refuses = { pcp: 8, natPmp: 3 };
    const igd = await openIgd(address);
    igd.fault = () => 501;
    const { mapper: made, changes } = mapper(address);
    expect(await made.start()).toBeUndefined();
    expect(made.refusal).toEqual({ protocol: 'nat-pmp', reason: 'no-external-address', code: 3 });
    expect(changes).toEqual([]);
  });

  it('has nothing to say of a machine that is no router, and is through in time', async () => {
    const address = loopbackAddress();
    const { mapper: made } = mapper(address);
    const { result, took } = await timed(made.start());
    expect(result).toBeUndefined();
    expect(made.refusal).toBeUndefined();
    expect(took).toBeLessThan(900);
    expect((await timed(made.close())).took).toBeLessThan(100);
  });

  it('has nothing to say of one that is silent', async () => {
    const address = loopbackAddress();
    const silent = createSocket('udp4').bind(5351, address);
    await once(silent, 'listening');
    cleanups.push(() => silent.close());
    const { mapper: made } = mapper(address);
    const { result, took } = await timed(made.start());
    expect(result).toBeUndefined();
    expect(took).toBeGreaterThan(500);
    expect(took).toBeLessThan(900);
  });

  it.each(['', 'router.example', '2001:db8::1', '999.1.1.1'])('does not ask %j', async (gateway) => {
    expect(await mapper(gateway).mapper.start()).toBeUndefined();
  });

  it('copes with a local address that is not there', async () => {
    const address = loopbackAddress();
    const { mapper: made } = mapper(address, { localAddress: '45.80.1.99' });
    expect(await made.start()).toBeUndefined();
  });

  it('does not hear another machine than the router', async () => {
    const address = loopbackAddress();
    await openRouter(address, 5352);
    const { mapper: made } = mapper(address);
    expect(await made.start()).toBeUndefined();
  });

  it('can be closed at any moment, and calls nobody afterwards', async () => {
    const address = loopbackAddress();
    const router = await openRouter(address);
    const igd = await openIgd(address);
    router.refuses = { pcp: 2, natPmp: 2 };
    for (const delay of [0, 1, 3, 10, 30]) {
      const { mapper: made, changes } = mapper(address);
      const started = made.start();
      await new Promise((resolve) => systemRuntime.setTimer(delay, () => resolve(undefined)));
      const before = changes.length;
      await Promise.all([made.close(), made.close()]);
      const mapping = await started;
      expect(changes.length).toBe(before);
      expect(mapping === undefined || before === 1).toBe(true);
    }
    expect(igd.table.size).toBe(0);
  });

  it.each([0, 1, 3, 10, 30, 60])('closed after %i ms, leaves nothing mapped', async (delay) => {
    const [both, upnpOnly] = [loopbackAddress(), loopbackAddress()];
    const router = await openRouter(both);
    const igds = [await openIgd(both), await openIgd(upnpOnly)];
    for (const address of [both, upnpOnly]) {
      const { mapper: made } = mapper(address);
      const started = made.start();
      await new Promise((resolve) => systemRuntime.setTimer(delay, () => resolve(undefined)));
      await made.close();
      await started;
    }
    expect(router.table.size).toBe(0);
    for (const igd of igds) expect(igd.table.size).toBe(0);
  });

  it('closed while it waits for the router, has an answer at once', async () => {
    const address = loopbackAddress();
    const silent = createSocket('udp4').bind(5351, address);
    await once(silent, 'listening');
    cleanups.push(() => silent.close());
    const { mapper: made, changes } = mapper(address);
    const started = made.start();
    await new Promise((resolve) => systemRuntime.setTimer(30, () => resolve(undefined)));
    const closed = made.close();
    const { result, took } = await timed(started);
    expect(result).toBeUndefined();
    expect(took).toBeLessThan(100);
    expect((await timed(closed)).took).toBeLessThan(450);
    expect(changes).toEqual([]);
  });

  it('closed while UPnP is busy, has an answer at once, and the router no mapping', async () => {
    const address = loopbackAddress();
    const igd = await openIgd(address);
    igd.addingTime = 150;
    const { mapper: made } = mapper(address);
    const started = made.start();
    await vi.waitFor(() => expect(igd.asked).toContain('AddPortMapping'), { interval: 5 });
    const closed = made.close();
    expect((await timed(started)).took).toBeLessThan(100);
    await Promise.all([closed, vi.waitFor(() => expect(igd.leases).toHaveLength(1))]);
    expect(igd.table.size).toBe(0);
  });

  it('closed before it is started, it does nothing', async () => {
    const address = loopbackAddress();
    const router = await openRouter(address);
    const igd = await openIgd(address);
    const { mapper: made } = mapper(address);
    expect((await timed(made.close())).took).toBeLessThan(100);
    expect(await made.start()).toBeUndefined();
    expect(router.seen).toEqual([]);
    expect(igd.searches).toBe(0);
  });
});
