import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/log.ts';
import { PortMapper } from '../../../src/nat/port-mapping/client.ts';
import type { PortMapping } from '../../../src/nat/report.ts';
import { VirtualRuntime } from '../../support/virtual-runtime.ts';
import { FakeIgd } from './fake-igd.ts';
import { loopbackAddress } from './loopback.ts';
import { VirtualRouter } from './virtual-router.ts';

const PORT = 41234;
const MINUTE = 60_000;
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Lets sockets and a virtual clock run, that many milliseconds a turn, until something is true. */
async function runUntil(runtime: VirtualRuntime, done: () => boolean, step = 1): Promise<void> {
  for (let turn = 0; !done(); turn++) {
    if (turn > 20_000) throw new Error('it does not come');
    runtime.advance(step);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Moves the clock, and then holds it until what that has set off has been to the router and back. */
async function hop(runtime: VirtualRuntime, milliseconds: number): Promise<void> {
  runtime.advance(milliseconds);
  for (let turn = 0; turn < 300; turn++) await new Promise((resolve) => setImmediate(resolve));
}

async function finish<T>(runtime: VirtualRuntime, work: Promise<T>): Promise<T> {
  let over = false;
  const result = work.finally(() => (over = true));
  await runUntil(runtime, () => over);
  return result;
}

function mapper(gateway: string) {
  const runtime = new VirtualRuntime();
  const changes: (string | undefined)[] = [];
  const onChange = (mapping: PortMapping | undefined) => changes.push(mapping?.external_address);
  const options = { runtime, log: silentLogger, gateway, localAddress: '127.0.0.1', localPort: PORT };
  const made = new PortMapper(options, onChange);
  cleanups.push(() => finish(runtime, made.close()));
  return { runtime, made, changes };
}

async function openIgd(address: string): Promise<FakeIgd> {
  const igd = await new FakeIgd(address).open();
  cleanups.push(() => igd.close());
  return igd;
}

async function openRouter(address: string): Promise<VirtualRouter> {
  const router = new VirtualRouter();
  const socket = createSocket('udp4');
  socket.on('message', (bytes, from) => {
    for (const answer of router.answer(bytes)) socket.send(answer, from.port, from.address);
  });
  socket.bind(5351, address);
  await once(socket, 'listening');
  cleanups.push(() => socket.close());
  return router;
}

describe('a mapping by UPnP', () => {
  it('is renewed, and told when the router has another address', async () => {
    const address = loopbackAddress();
    const igd = await openIgd(address);
    const { runtime, made, changes } = mapper(address);
    await finish(runtime, made.start());
    await hop(runtime, 10 * MINUTE);
    expect(igd.leases).toHaveLength(2);
    igd.external = '45.80.1.8';
    await hop(runtime, 10 * MINUTE);
    expect(changes).toEqual([`45.80.1.7:${PORT}`, `45.80.1.8:${PORT}`]);
  });

  it('outlives a silent router until its time is over, is lost, and comes back with the router', async () => {
    const address = loopbackAddress();
    const igd = await openIgd(address);
    const { runtime, made, changes } = mapper(address);
    await finish(runtime, made.start());
    igd.hijack = (request) => {
      request.socket.destroy();
      return true;
    };
    for (let elapsed = 0; elapsed < 110; elapsed += 10) {
      const before = igd.asked.length;
      await hop(runtime, 10 * MINUTE);
      expect(igd.asked.length).toBeGreaterThan(before);
      expect(changes).toHaveLength(1);
    }
    for (let elapsed = 0; elapsed < 15; elapsed++) await hop(runtime, MINUTE);
    expect(changes).toEqual([`45.80.1.7:${PORT}`, undefined]);
    igd.hijack = undefined;
    await runUntil(runtime, () => changes.length === 3, 20);
    expect(changes).toEqual([`45.80.1.7:${PORT}`, undefined, `45.80.1.7:${PORT}`]);
  });

  it('is lost when the router refuses to renew it, and nothing is left to wake up for after close', async () => {
    const address = loopbackAddress();
    const igd = await openIgd(address);
    const { runtime, made, changes } = mapper(address);
    await finish(runtime, made.start());
    igd.fault = () => 606;
    runtime.advance(10 * MINUTE);
    await runUntil(runtime, () => changes.length === 2);
    expect(changes[1]).toBeUndefined();
    await finish(runtime, made.close());
    expect(runtime.pendingTimers).toBe(0);
  });

  it('is let go of when a renewal is under way', async () => {
    const address = loopbackAddress();
    const igd = await openIgd(address);
    const { runtime, made, changes } = mapper(address);
    await finish(runtime, made.start());
    const before = igd.asked.length;
    runtime.advance(10 * MINUTE);
    await runUntil(runtime, () => igd.asked.length > before);
    await finish(runtime, made.close());
    expect(changes).toHaveLength(1);
    expect(igd.table.size).toBe(0);
    expect(runtime.pendingTimers).toBe(0);
  });
});

describe('a router without a mapping', () => {
  it('is asked again every five minutes', async () => {
    const address = loopbackAddress();
    const router = await openRouter(address);
    router.refuses = { pcp: 2, natPmp: 2 };
    const { runtime, made, changes } = mapper(address);
    expect(await finish(runtime, made.start())).toBeUndefined();
    router.refuses = {};
    runtime.advance(4.9 * MINUTE);
    expect(changes).toEqual([]);
    await runUntil(runtime, () => changes.length === 1);
    expect(changes).toEqual([`45.80.1.7:${PORT}`]);
    expect(made.refusal).toBeUndefined();
  });

  it('that refuses to renew by PCP is asked by UPnP', async () => {
    const address = loopbackAddress();
    const router = await openRouter(address);
    const igd = await openIgd(address);
    const { runtime, made, changes } = mapper(address);
    await finish(runtime, made.start());
    expect(igd.table.size).toBe(0);
    router.refuses = { pcp: 2, natPmp: 2 };
    runtime.advance(10 * MINUTE);
    await runUntil(runtime, () => changes.length === 3);
    expect(changes).toEqual([`45.80.1.7:${PORT}`, undefined, `45.80.1.7:${PORT}`]);
    expect(igd.table.size).toBe(1);
  });
});
