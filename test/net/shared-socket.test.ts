import { describe, expect, test } from 'vitest';
import type { Endpoint } from '../../src/net/endpoint.ts';
import type { PacketKind } from '../../src/net/packet-kind.ts';
import { SharedSocket } from '../../src/net/shared-socket.ts';
import type { DatagramSocket, PacketHandler, SendOptions } from '../../src/net/udp-socket.ts';

const PEER: Endpoint = { address: '192.0.2.1', port: 40000 };
const OTHER: Endpoint = { address: '192.0.2.1', port: 40001 };
const PACKET = Buffer.from('c0ffee', 'hex');

/** A socket on which packets arrive when the test says so. */
class FakeSocket implements DatagramSocket {
  readonly local = { address: '0.0.0.0', port: 1234 };
  readonly sent: (readonly [Buffer, Endpoint, SendOptions | undefined])[] = [];
  closes = 0;
  readonly #handlers = new Map<PacketKind, PacketHandler>();

  onPacket(kind: PacketKind, handler: PacketHandler | undefined): void {
    if (handler === undefined) this.#handlers.delete(kind);
    else this.#handlers.set(kind, handler);
  }

  send(bytes: Buffer, to: Endpoint, options?: SendOptions): boolean {
    this.sent.push([bytes, to, options]);
    return false;
  }

  close(): void {
    this.closes += 1;
  }

  arrive(kind: PacketKind, from = PEER): void {
    this.#handlers.get(kind)?.(PACKET, from);
  }
}

/** A shared socket, and a diary of who was offered what. */
function sharing() {
  const socket = new FakeSocket();
  const shared = new SharedSocket(socket);
  const heard: string[] = [];
  const share = (name: string) => {
    const one = shared.share();
    for (const kind of ['stun', 'quic', 'other'] as const) {
      one.onPacket(kind, (_, { port }) => heard.push(`${name} ${kind} ${port}`));
    }
    const serve = (remote: Endpoint, wants = true) =>
      one.onPeer(remote, () => {
        heard.push(`${name} ${remote.port}`);
        return wants;
      });
    return Object.assign(one, { serve });
  };
  const take = () => heard.splice(0);
  return { socket, shared, share, take };
}

describe('the socket', () => {
  test('is closed with the last share, and once', () => {
    const { socket, shared } = sharing();
    const [one, other] = [shared.share(), shared.share()];
    expect([shared.local, one.local]).toEqual([socket.local, socket.local]);
    one.close();
    one.close();
    expect(socket.closes).toBe(0);
    other.close();
    other.close();
    expect(socket.closes).toBe(1);
  });

  test('sends for all, as they want it', () => {
    const { socket, shared } = sharing();
    const [one, other] = [shared.share(), shared.share()];
    one.send(PACKET, PEER, { ttl: 3 });
    other.send(PACKET, OTHER);
    expect(socket.sent).toEqual([
      [PACKET, PEER, { ttl: 3 }],
      [PACKET, OTHER, undefined],
    ]);
  });
});

describe('what arrives', () => {
  test('is for all, as long as nobody knows whose it is: STUN and probes', () => {
    const { socket, share, take } = sharing();
    const one = share('one');
    share('other');
    socket.arrive('stun');
    expect(take()).toEqual(['one stun 40000', 'other stun 40000']);
    socket.arrive('other', OTHER);
    expect(take()).toEqual(['one other 40001', 'other other 40001']);
    one.onPacket('stun', undefined);
    socket.arrive('stun');
    expect(take()).toEqual(['other stun 40000']);
  });

  test('is nobody’s when it is QUIC from a stranger', () => {
    const { socket, share, take } = sharing();
    const one = share('one');
    socket.arrive('quic');
    one.serve(PEER);
    socket.arrive('quic', OTHER);
    expect(take()).toEqual([]);
    socket.arrive('quic');
    expect(take()).toEqual(['one 40000']);
    one.onPeer(PEER, undefined);
    socket.arrive('quic');
    expect(take()).toEqual([]);
  });

  test('is offered to all who know its sender, the newest first, until somebody takes it', () => {
    const { socket, share, take } = sharing();
    const [one, other, third] = [share('one'), share('other'), share('third')];
    one.serve(PEER);
    other.serve(PEER, false);
    third.serve(PEER, false);
    third.serve(OTHER);
    socket.arrive('quic');
    expect(take()).toEqual(['third 40000', 'other 40000', 'one 40000']);
    other.serve(PEER);
    socket.arrive('quic');
    expect(take()).toEqual(['other 40000']);
    other.onPeer(PEER, undefined);
    socket.arrive('quic');
    expect(take()).toEqual(['third 40000', 'one 40000']);
  });

  test('reaches a share that is taken while it is delivered no sooner than the next', () => {
    const { socket, shared, share, take } = sharing();
    shared.share().onPacket('stun', () => share('late'));
    socket.arrive('stun');
    expect(take()).toEqual([]);
    socket.arrive('stun');
    expect(take()).toContain('late stun 40000');
  });
});

describe('a share that is closed', () => {
  test('hears and sends nothing, and leaves the others theirs', () => {
    const { socket, share, take } = sharing();
    const [one, other] = [share('one'), share('other')];
    for (const each of [one, other]) each.serve(PEER, false);
    one.serve(OTHER);
    one.close();
    one.send(PACKET, PEER);
    expect(socket.sent).toEqual([]);
    for (const kind of ['stun', 'quic', 'other'] as const) socket.arrive(kind);
    socket.arrive('quic', OTHER);
    expect(take()).toEqual(['other stun 40000', 'other 40000', 'other other 40000']);
  });

  test('cannot be listened to again', () => {
    const { socket, share, take } = sharing();
    const [one] = [share('one'), share('other')];
    one.close();
    one.serve(PEER);
    one.onPacket('stun', () => expect.unreachable());
    for (const kind of ['stun', 'quic'] as const) socket.arrive(kind);
    expect(take()).toEqual(['other stun 40000']);
  });

  test('can be closed from inside of what it hears', () => {
    const { socket, share, take } = sharing();
    const [one, other] = [share('one'), share('other')];
    one.onPacket('stun', () => other.close());
    socket.arrive('stun');
    expect(take()).toEqual([]);
    expect(socket.closes).toBe(0);
  });
});
