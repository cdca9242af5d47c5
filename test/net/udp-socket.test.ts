import dgram from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import type { Endpoint } from '../../src/net/endpoint.ts';
import { type RawSocket, UdpSocket } from '../../src/net/udp-socket.ts';

const FAR: Endpoint = { address: '192.0.2.1', port: 40000 };
const STUN = Buffer.from(`00010000${'2112a442'}${'00'.repeat(12)}`, 'hex');
const QUIC = Buffer.from('c0ffee', 'hex');

/** A dgram socket that sends nothing, says what it was told, and calls back when the test says so. */
class FakeRaw extends EventEmitter {
  readonly said: string[] = [];
  readonly #callbacks: ((error: Error | null) => void)[] = [];

  address() {
    return { address: '0.0.0.0', port: 1234, family: 'IPv4' };
  }

  setTTL(ttl: number): void {
    if (ttl > 255) throw new Error('EINVAL');
    this.said.push(`ttl ${ttl}`);
  }

  send(bytes: Buffer, port: number, _address: string, callback: (error: Error | null) => void): void {
    if (port === 0) throw new Error('ERR_SOCKET_BAD_PORT');
    this.said.push(String(bytes));
    this.#callbacks.push(callback);
  }

  /** Whether the system takes packets at once, as it usually does. The callbacks come later all the same. */
  quick = false;

  getSendQueueCount(): number {
    return this.quick ? 0 : this.#callbacks.length;
  }

  close(): void {
    this.said.push('close');
  }

  /** The oldest send that has not been called back has ended. */
  sent(error: Error | null = null): void {
    this.#callbacks.shift()?.(error);
  }
}

function fake() {
  const raw = new FakeRaw();
  const socket = new UdpSocket(raw as unknown as RawSocket);
  const failures: string[] = [];
  socket.onSendError = (error) => failures.push(error.message);
  return {
    raw,
    socket,
    failures,
    send: (text: string, ttl?: number) =>
      socket.send(Buffer.from(text), FAR, ttl === undefined ? {} : { ttl }),
  };
}

describe('the TTL of a packet', () => {
  it('is its own: set when nothing is in flight, and back before the next', () => {
    const { raw, send } = fake();
    send('a');
    send('low', 2);
    send('b');
    send('c');
    expect(raw.said).toEqual(['a']);
    raw.sent();
    expect(raw.said).toEqual(['a', 'ttl 2', 'low']);
    raw.sent();
    expect(raw.said).toEqual(['a', 'ttl 2', 'low', 'ttl 64', 'b', 'c']);
  });

  it('is set once for packets that agree on it', () => {
    const { raw, send } = fake();
    send('a', 3);
    send('b', 3);
    expect(raw.said).toEqual(['ttl 3', 'a', 'b']);
    send('c', 4);
    raw.sent();
    expect(raw.said).toHaveLength(3);
    raw.sent();
    expect(raw.said).toEqual(['ttl 3', 'a', 'b', 'ttl 4', 'c']);
  });

  it('does not stay low when the packet fails', () => {
    const { raw, send, failures } = fake();
    send('low', 2);
    send('b');
    raw.sent(new Error('EPERM'));
    expect(raw.said).toEqual(['ttl 2', 'low', 'ttl 64', 'b']);
    expect(failures).toEqual(['EPERM']);
  });

  it('costs the packet when it is impossible, and no other', () => {
    const { raw, send, failures } = fake();
    send('low', 256);
    send('b');
    expect(raw.said).toEqual(['b']);
    expect(failures).toEqual(['EINVAL']);
  });
});

describe('a UDP socket that is pretended', () => {
  it('survives what dgram throws, and goes on', () => {
    const { raw, socket, send, failures } = fake();
    socket.send(STUN, { ...FAR, port: 0 });
    send('a');
    expect(failures).toEqual(['ERR_SOCKET_BAD_PORT']);
    raw.sent();
    send('low', 2);
    expect(raw.said).toEqual(['a', 'ttl 2', 'low']);
  });

  it('drops what is too much, and takes more when there is room', () => {
    const { raw, send, failures } = fake();
    for (let i = 0; i < 5000; i++) send('x', i % 2 === 0 ? 2 : 3);
    expect(failures).toHaveLength(5000 - 4096);
    for (let i = 0; i < 4096; i++) raw.sent();
    send('y', 3);
    expect(failures).toHaveLength(5000 - 4096);
    expect(raw.said.at(-1)).toBe('y');
    expect(raw.said.filter((said) => said === 'x')).toHaveLength(4096);
  });

  it('says whether it still needs the bytes', () => {
    const { raw, socket, send } = fake();
    raw.quick = true;
    expect(send('gone')).toBe(true);
    expect(send('waits for its TTL', 2)).toBe(false);
    expect(send('waits behind it')).toBe(false);
    raw.quick = false;
    for (let i = 0; i < 3; i++) raw.sent();
    expect(send('is in the queue of the system')).toBe(false);
    expect(socket.send(STUN, { ...FAR, port: 0 })).toBe(true);
    socket.close();
    expect(send('too late')).toBe(true);
  });

  it('is silent after close, whatever is still on its way', () => {
    const { raw, socket, send, failures } = fake();
    send('a');
    send('b', 2);
    socket.close();
    socket.close();
    raw.sent(new Error('ECANCELED'));
    send('c');
    expect(raw.said).toEqual(['a', 'close']);
    expect(failures).toEqual([]);
  });

  it('hears nobody whose address has two spellings', () => {
    const { raw, socket } = fake();
    const heard: string[] = [];
    socket.onPacket('quic', (_, from) => heard.push(from.address));
    for (const address of ['::ffff:192.0.2.1', '::192.0.2.1', '2001:db8::1', 'fe80::1%eth0.7', '192.0.2.1']) {
      raw.emit('message', QUIC, { address, port: 1, family: 'IPv6', size: QUIC.length });
    }
    expect(heard).toEqual(['2001:db8::1', 'fe80::1%eth0.7', '192.0.2.1']);
  });
});

describe.each([
  { family: 4, host: '127.0.0.1' },
  { family: 6, host: '::1' },
] as const)('a UDP socket of IPv$family', ({ family, host }) => {
  async function withPair(use: (one: UdpSocket, other: UdpSocket) => Promise<void>): Promise<void> {
    const one = await UdpSocket.open({ family, host });
    const other = await UdpSocket.open({ family, host });
    try {
      await use(one, other);
    } finally {
      one.close();
      other.close();
    }
  }

  it('gives each packet to the handler of its kind', () =>
    withPair(async (one, other) => {
      const heard: string[] = [];
      const done = new Promise<void>((resolve) => {
        other.onPacket('stun', (bytes, from) =>
          heard.push(`stun ${bytes.length} ${from.port === one.local.port}`),
        );
        other.onPacket('quic', (bytes, from) => {
          heard.push(`quic ${bytes.length} ${from.address}`);
          if (bytes.length === 1) resolve();
        });
      });
      one.send(STUN, other.local);
      one.send(Buffer.of(20), other.local);
      one.send(QUIC, other.local, { ttl: 3 });
      one.send(Buffer.of(64), other.local);
      await done;
      expect(heard).toEqual(['stun 20 true', `quic 3 ${host}`, `quic 1 ${host}`]);
    }));

  it('reports what cannot be sent, and lives on', () =>
    withPair(async (one, other) => {
      const failures = new EventEmitter();
      one.onSendError = (error, to) => failures.emit('failure', error, to);
      const failed = once(failures, 'failure');
      one.send(Buffer.alloc(70_000), other.local);
      const [error, to] = await failed;
      expect(error.code).toBe('EMSGSIZE');
      expect(to).toBe(other.local);
      const heard = new Promise((resolve) => other.onPacket('stun', resolve));
      one.send(STUN, other.local);
      await heard;
    }));

  it('says when its port is taken', () =>
    withPair(async ({ local }) => {
      await expect(UdpSocket.open({ family, host, port: local.port })).rejects.toMatchObject({
        code: 'port_in_use',
      });
    }));
});

it('says when the address is not of this machine, and leaves nothing open', async () => {
  const create = vi.spyOn(dgram, 'createSocket');
  const opened = UdpSocket.open({ family: 4, host: '8.8.8.8' });
  await expect(opened).rejects.toMatchObject({ code: 'listen_failed' });
  const raw: dgram.Socket = create.mock.results[0]?.value;
  create.mockRestore();
  expect(() => raw.address()).toThrow('Not running');
});

it('survives an error that comes after it was bound', async () => {
  const create = vi.spyOn(dgram, 'createSocket');
  const socket = await UdpSocket.open({ family: 4, host: '127.0.0.1' });
  const raw: dgram.Socket = create.mock.results[0]?.value;
  create.mockRestore();
  raw.emit('error', new Error('ECONNREFUSED'));
  expect(raw.address().port).toBe(socket.local.port);
  socket.close();
});

it('takes the same port for both families', async () => {
  const six = await UdpSocket.open({ family: 6 });
  const four = await UdpSocket.open({ family: 4, port: six.local.port });
  expect([four.local.address, six.local.address]).toEqual(['0.0.0.0', '::']);
  six.close();
  four.close();
});
