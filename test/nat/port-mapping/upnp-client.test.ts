import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { UpnpClient } from '../../../src/nat/port-mapping/upnp-client.ts';
import type { PortMapping } from '../../../src/nat/report.ts';
import { systemRuntime } from '../../../src/net/runtime.ts';
import { FakeIgd } from './fake-igd.ts';
import { loopbackAddress } from './loopback.ts';

const LOCAL = '127.0.0.1';
const PORT = 41234;
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A router, and a client that has looked for it for at most that time. */
async function meet(change: (igd: FakeIgd) => void = () => {}, limit = 400) {
  const address = loopbackAddress();
  const igd = await new FakeIgd(address).open();
  cleanups.push(() => igd.close());
  change(igd);
  const changes: (PortMapping | undefined)[] = [];
  const path = { runtime: systemRuntime, gateway: address, localAddress: LOCAL, localPort: PORT };
  const client = new UpnpClient(path, (mapping) => changes.push(mapping));
  cleanups.push(() => client.release());
  const started = performance.now();
  const signal = AbortSignal.timeout(limit);
  await client.discover(signal);
  const mapping = await client.ask(signal);
  return { igd, client, mapping, changes, took: performance.now() - started };
}

describe('UPnP with a router', () => {
  it('that takes leases for ever only', async () => {
    const { igd, mapping } = await meet((igd) => {
      igd.fault = (action) => (action === 'AddPortMapping' && igd.asked.length < 4 ? 725 : undefined);
    });
    expect(mapping?.external_address).toBe(`45.80.1.7:${PORT}`);
    expect(igd.leases).toEqual([0]);
  });

  it('where the port is taken', async () => {
    const { igd, client, mapping } = await meet((igd) => igd.table.set(PORT, '192.168.1.9:1'));
    expect(mapping?.external_address).toMatch(/^45\.80\.1\.7:\d+$/);
    expect(mapping?.external_address).not.toBe(`45.80.1.7:${PORT}`);
    await client.release();
    expect([...igd.table]).toEqual([[PORT, '192.168.1.9:1']]);
  });

  it('that has no address, as behind a provider NAT', async () => {
    const { client, mapping } = await meet((igd) => (igd.fault = () => 501));
    expect(mapping).toBeUndefined();
    expect(client.refusal).toEqual({ protocol: 'upnp', reason: 'no-external-address', code: 501 });
  });

  it('that has a private address only', async () => {
    const { igd, client, mapping } = await meet((igd) => (igd.external = '100.64.0.9'));
    expect(mapping).toBeUndefined();
    expect(client.refusal).toEqual({ protocol: 'upnp', reason: 'no-external-address', code: 0 });
    expect(igd.asked).not.toContain('AddPortMapping');
  });

  it('that does not tell its address to everybody', async () => {
    const { client } = await meet((igd) => (igd.fault = () => 606));
    expect(client.refusal).toEqual({ protocol: 'upnp', reason: 'not-authorised', code: 606 });
  });

  it('that answers with what is none, and then with what is', async () => {
    const { mapping } = await meet((igd) => {
      igd.locations = (own) => [own.replace('desc.xml', 'other'), own];
      igd.hijack = (request, response) => {
        if (request.url === '/other') response.end('<html>Log in</html>');
        return request.url === '/other';
      };
    });
    expect(mapping?.protocol).toBe('upnp');
  });

  it('that forgets to answer, and is asked to forget all the same', async () => {
    const { igd, client, mapping, took } = await meet((igd) => {
      igd.hijack = (request) => String(request.headers.soapaction).includes('AddPortMapping');
    });
    expect(mapping).toBeUndefined();
    expect(took).toBeLessThan(800);
    await client.release();
    expect(igd.asked.at(-1)).toBe('DeletePortMapping');
  });

  it('that is still making what is given back already', async () => {
    const { igd, client } = await meet((igd) => (igd.addingTime = 500));
    await Promise.all([client.release(), vi.waitFor(() => expect(igd.leases).toHaveLength(1))]);
    expect(igd.table.size).toBe(0);
    expect(igd.asked.filter((asked) => asked === 'DeletePortMapping')).toHaveLength(2);
  });
});

describe('UPnP with a hostile router', () => {
  it('that names another machine', async () => {
    const victim = createServer(() => expect.unreachable());
    const other = loopbackAddress();
    victim.listen(0, other);
    await once(victim, 'listening');
    cleanups.push(() => victim.close());
    const elsewhere = `http://${other}:${(victim.address() as { port: number }).port}/desc.xml`;
    const { igd, mapping } = await meet((igd) => (igd.locations = () => [elsewhere]));
    expect(mapping).toBeUndefined();
    expect(igd.searches).toBeGreaterThan(0);
    const redirected = await meet((igd) => {
      igd.hijack = (_, response) => {
        response.writeHead(302, { location: elsewhere }).end();
        return true;
      };
    });
    expect(redirected.mapping).toBeUndefined();
    expect(redirected.igd.asked).toEqual(['GET /desc.xml']);
  });

  it('that names a place for every day of the year', async () => {
    const { igd } = await meet((igd) => {
      igd.locations = (own) => Array.from({ length: 365 }, (_, i) => `${own}?${i}`);
      igd.hijack = (_, response) => {
        response.statusCode = 404;
        response.end();
        return true;
      };
    });
    expect(igd.asked).toHaveLength(4);
  });

  it.each<[string, NonNullable<FakeIgd['hijack']>]>([
    [
      'never ends',
      (_, response) => {
        const fill = () => {
          while (!response.destroyed && response.write('<a>'.repeat(5000)));
        };
        response.on('drain', fill);
        fill();
        return true;
      },
    ],
    [
      'drips',
      (_, response) => {
        const drip = setInterval(() => response.write('<a>'), 5);
        response.on('close', () => clearInterval(drip));
        return true;
      },
    ],
    ['says nothing', () => true],
    [
      'hangs up',
      (request) => {
        request.socket.destroy();
        return true;
      },
    ],
    [
      'hangs up half way',
      (request, response) => {
        response.writeHead(200, { 'content-length': 1000 }).write('<root>');
        setTimeout(() => request.socket.destroy(), 5);
        return true;
      },
    ],
    [
      'speaks no HTTP',
      (request) => {
        request.socket.end('SSH-2.0-OpenSSH_9.6\r\n');
        return true;
      },
    ],
    [
      'changes the protocol',
      (request) => {
        request.socket.end(
          'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello',
        );
        return true;
      },
    ],
    [
      'has huge headers',
      (request) => {
        request.socket.end(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(1e6)}\r\n\r\n<root/>`);
        return true;
      },
    ],
    [
      'sends a bomb',
      (_, response) => {
        response.end(
          '<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;&b;">]><root><device>&d;&d;</device></root>',
        );
        return true;
      },
    ],
  ])('that %s', async (_, hijack) => {
    const { mapping, took } = await meet((igd) => (igd.hijack = hijack), 150);
    expect(mapping).toBeUndefined();
    expect(took).toBeLessThan(1000);
  });

  it('that does all of this to an action', async () => {
    const { mapping, took } = await meet((igd) => {
      igd.hijack = (request, response) => {
        if (request.method === 'GET') return false;
        response.write('x'.repeat(300_000));
        return true;
      };
    });
    expect(mapping).toBeUndefined();
    expect(took).toBeLessThan(1000);
  });
});
