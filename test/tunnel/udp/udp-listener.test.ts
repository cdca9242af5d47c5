import dgram from 'node:dgram';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { systemRuntime } from '../../../src/net/runtime.ts';
import { addressesToBind } from '../../../src/tunnel/udp/local-addresses.ts';
import { UdpListener, type UdpListenerOptions } from '../../../src/tunnel/udp/udp-listener.ts';
import { LocalUdp } from '../../support/local-udp.ts';
import { VirtualRuntime } from '../../support/virtual-runtime.ts';

const open: { close(): void }[] = [];

afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** A listener that answers with the flow's number and what was said. */
async function echo(host: string, options: Partial<UdpListenerOptions> = {}) {
  const heard: string[] = [];
  const listener: UdpListener = new UdpListener({
    runtime: systemRuntime,
    idle: 60_000,
    onDatagram: (flow, payload) => {
      heard.push(`${flow} ${payload}`);
      listener.send(flow, Buffer.concat([Buffer.from(`${flow} `), payload]));
    },
    ...options,
  });
  open.push(listener);
  const where = await listener.listen(host, 0);
  return { listener, heard, where, port: Number(where.split(':').at(-1)) };
}

async function application(host?: string): Promise<LocalUdp> {
  const socket = await LocalUdp.open(host);
  open.push(socket);
  return socket;
}

describe('a UDP listener', () => {
  it('has a flow for each socket of an application', async () => {
    const { port, listener, where } = await echo('127.0.0.1');
    expect(where).toBe(`127.0.0.1:${port}`);
    const [one, other] = [await application(), await application()];
    one.send('a', port);
    expect(await one.text()).toBe('0 a');
    other.send('b', port);
    expect(await other.text()).toBe('1 b');
    one.send('', port);
    expect(await one.text()).toBe('0 ');
    expect(listener.flowCount).toBe(2);
    listener.send(7, Buffer.from('for nobody'));
    expect(listener.dropped).toBe(1);
  });

  it('gives and takes what UDP allows', async () => {
    const sizes: number[] = [];
    const answer = Buffer.alloc(65_507, 'x');
    const { port } = await echo('127.0.0.1', {
      onDatagram: (flow, payload) => {
        sizes.push(payload.length);
        (open[0] as UdpListener).send(flow, answer);
      },
    });
    const one = await application();
    one.send(answer, port);
    expect((await one.next()).bytes.equals(answer)).toBe(true);
    expect(sizes).toEqual([65_507]);
  });

  it('listens by name and in IPv6', async () => {
    const { where } = await echo('localhost');
    expect(where).toMatch(/^(127\.0\.0\.1|\[::1\]):\d+$/);
    const six = await echo('::1');
    expect(six.where).toBe(`[::1]:${six.port}`);
    const one = await application('::1');
    one.send('a', six.port, '::1');
    expect(await one.text()).toBe('0 a');
  });

  it('says when the port is taken, or the address is not of this machine', async () => {
    const { port } = await echo('127.0.0.1');
    const listener = new UdpListener({ runtime: systemRuntime, idle: 60_000, onDatagram: () => {} });
    await expect(listener.listen('127.0.0.1', port)).rejects.toMatchObject({
      ...{ code: 'port_in_use', details: { host: '127.0.0.1', port } },
    });
    const wild = new UdpListener({ runtime: systemRuntime, idle: 60_000, onDatagram: () => {} });
    await expect(wild.listen('0.0.0.0', port)).rejects.toMatchObject({ code: 'port_in_use' });
    const strange = new UdpListener({ runtime: systemRuntime, idle: 60_000, onDatagram: () => {} });
    await expect(strange.listen('8.8.8.8', 0)).rejects.toMatchObject({ code: 'listen_failed' });
  });

  it('forgets a flow after its last packet, and counts the application anew', async () => {
    const runtime = new VirtualRuntime();
    const { port, listener } = await echo('127.0.0.1', { runtime, idle: 60_000 });
    const one = await application();
    for (let i = 0; i < 3; i++) {
      one.send('a', port);
      expect(await one.text()).toBe('0 a');
      runtime.advance(50_000);
    }
    listener.send(0, Buffer.from('an answer counts, too'));
    await one.next();
    runtime.advance(59_999);
    expect(listener.flowCount).toBe(1);
    runtime.advance(2);
    expect(listener.flowCount).toBe(0);
    one.send('b', port);
    expect(await one.text()).toBe('1 b');
  });

  it('gives up the longest idle of too many', async () => {
    const { port, listener } = await echo('127.0.0.1', { maxFlows: 2 });
    const all = [await application(), await application(), await application()] as const;
    for (const one of all) {
      one.send('a', port);
      await one.next();
    }
    expect(listener.flowCount).toBe(2);
    listener.send(0, Buffer.from('gone'));
    expect(listener.dropped).toBe(1);
  });
});

describe('a UDP listener on the wildcard', () => {
  it('replies from the address that was sent to', async () => {
    const addresses = () => ['127.0.0.1', '127.0.0.2', '::1'];
    const { port, listener, where } = await echo('::', { addresses });
    expect(where).toBe(`[::]:${port}`);
    const one = await application();
    for (const address of ['127.0.0.1', '127.0.0.2', '127.0.0.1']) {
      one.send('a', port, address);
      expect((await one.next()).from).toMatchObject({ address, port });
    }
    const six = await application('::1');
    six.send('a', port, '::1');
    expect((await six.next()).from).toMatchObject({ address: '::1', port });
    expect(listener.flowCount).toBe(3);
  });

  it('follows addresses that come and go', async () => {
    const runtime = new VirtualRuntime();
    let now = ['127.0.0.1'];
    const { port, listener } = await echo('0.0.0.0', { runtime, addresses: () => now });
    const one = await application();
    now = ['127.0.0.1', '127.0.0.2'];
    await listener.refresh();
    one.send('a', port, '127.0.0.2');
    expect((await one.next()).from).toMatchObject({ address: '127.0.0.2' });
    now = ['127.0.0.1'];
    await listener.refresh();
    one.send('b', port, '127.0.0.2');
    expect(await one.text()).toBe('0 b');
    runtime.advance(70_000);
    await listener.refresh();
    // Nobody is at that port any more.
    await expect(LocalUdp.open('127.0.0.2', port).then((socket) => socket.close())).resolves.toBeUndefined();
  });

  it('is there without an address that cannot be bound, until it can', async () => {
    let second = '192.0.2.99';
    const { port, listener } = await echo('0.0.0.0', { addresses: () => ['127.0.0.1', second] });
    const one = await application();
    one.send('a', port);
    expect(await one.text()).toBe('0 a');
    second = '127.0.0.3';
    await listener.refresh();
    one.send('a', port, '127.0.0.3');
    expect(await one.text()).toBe('1 a');
  });

  it('means all addresses of this machine', () => {
    expect(addressesToBind('0.0.0.0')).toContain('127.0.0.1');
    expect(addressesToBind('0.0.0.0').join()).not.toContain(':');
    expect(addressesToBind('::')).toEqual(expect.arrayContaining([...addressesToBind('0.0.0.0')]));
    expect(addressesToBind('192.0.2.1')).toEqual(['192.0.2.1']);
  });
});

describe('the socket of a UDP listener', () => {
  /** A listener in virtual time, and the sockets that it has opened. */
  async function watched() {
    const create = vi.spyOn(dgram, 'createSocket');
    const runtime = new VirtualRuntime();
    const made = await echo('127.0.0.1', { runtime });
    const sockets = () => create.mock.results.map(({ value }) => value as dgram.Socket);
    return { ...made, runtime, sockets, restore: () => create.mockRestore() };
  }

  async function bound(socket: dgram.Socket | undefined): Promise<void> {
    try {
      socket?.address();
    } catch {
      await new Promise((resolve) => socket?.once('listening', resolve));
    }
  }

  const errorOf = (code: string) => Object.assign(new Error(code), { code });

  it.each(['ECONNRESET', 'ECONNREFUSED', 'ENOBUFS', 'EMSGSIZE', 'ENETUNREACH'])(
    'does not mind %s',
    async (code) => {
      const { port, sockets, restore } = await watched();
      sockets()[0]?.emit('error', errorOf(code));
      const one = await application();
      one.send('a', port);
      expect(await one.text()).toBe('0 a');
      restore();
      expect(sockets().length).toBeLessThanOrEqual(2);
    },
  );

  it('does not mind applications that are gone', async () => {
    const { port, listener } = await echo('127.0.0.1');
    const [gone, one] = [await LocalUdp.open(), await application()];
    gone.send('a', port);
    await gone.next();
    gone.close();
    for (let i = 0; i < 100; i++) listener.send(0, Buffer.from('nobody hears this'));
    one.send('b', port);
    expect(await one.text()).toBe('1 b');
  });

  it('comes back at the same port when it fails, later each time, and its flows with it', async () => {
    const { port, listener, runtime, sockets, restore } = await watched();
    const one = await application();
    one.send('a', port);
    expect(await one.text()).toBe('0 a');
    sockets()[0]?.emit('error', errorOf('EBADF'));
    listener.send(0, Buffer.from('lost'));
    expect(listener.dropped).toBe(1);
    // Somebody else has the port for a while.
    const thief = await LocalUdp.open('127.0.0.1', port);
    const delays: number[] = [];
    for (let tries = sockets().length; delays.length < 8; tries = sockets().length) {
      const before = runtime.now();
      while (sockets().length === tries) runtime.advance(100);
      delays.push(runtime.now() - before);
      await new Promise((resolve) => sockets().at(-1)?.once('close', resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    thief.close();
    runtime.advance(5000);
    await bound(sockets().at(-1));
    listener.send(0, Buffer.from('again'));
    expect(await one.text()).toBe('again');
    restore();
  });

  it('comes back when it has nothing but errors to tell', async () => {
    const { port, runtime, sockets, restore } = await watched();
    for (let i = 0; i < 1001; i++) sockets()[0]?.emit('error', errorOf('ECONNRESET'));
    runtime.advance(100);
    await bound(sockets().at(-1));
    const one = await application();
    one.send('a', port);
    expect(await one.text()).toBe('0 a');
    restore();
  });

  it('stays closed', async () => {
    const { listener, runtime, sockets, restore } = await watched();
    sockets()[0]?.emit('error', errorOf('EBADF'));
    listener.close();
    listener.close();
    listener.send(0, Buffer.from('a'));
    runtime.advance(10_000);
    expect(sockets()).toHaveLength(1);
    expect(runtime.pendingTimers).toBe(0);
    restore();
  });
});
