import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Endpoint } from '../../src/net/endpoint.ts';
import { UdpSocket } from '../../src/net/udp-socket.ts';
import type { Prediction } from '../../src/punch/round.ts';
import type { PunchStep } from '../../src/punch/strategy.ts';
import { type PuncherEnd, punchingSockets } from '../support/punching-sockets.ts';
import { symmetricVerdict } from '../support/verdict.ts';
import type { VirtualHost, VirtualSocket } from '../support/virtual-host.ts';
import { CONE, SYMMETRIC } from '../support/virtual-world.ts';

const EXCHANGE: PunchStep = { strategies: ['direct'], tries: 1 };
const BRACKET: PunchStep = { strategies: ['bracket'], hard: 'subscriber', tries: 1 };
/** As it looks from outside. */
const quic = (text: string) => Buffer.from(`@${text}`);
const candidate = ({ address, port }: Endpoint) => ({ kind: 'server-reflexive', address, port }) as const;

afterEach(() => vi.restoreAllMocks());

/** Sockets that punchers open are this host's from now on. Those that are open. */
function openOn(host: VirtualHost): Set<VirtualSocket> {
  const open = new Set<VirtualSocket>();
  vi.spyOn(UdpSocket, 'open').mockImplementation(async ({ family }) => {
    const socket = host.open({ family });
    const close = socket.close.bind(socket);
    open.add(socket);
    socket.close = () => {
      open.delete(socket);
      close();
    };
    return socket as DatagramOnly as UdpSocket;
  });
  return open;
}

type DatagramOnly = Pick<UdpSocket, 'local' | 'close' | 'send' | 'onPacket'>;

/** Lets what is opened be open. */
const opened = () => new Promise((done) => setImmediate(done));

/** Two hosts without NATs. */
function pair() {
  const world = punchingSockets();
  const { internet, end } = world;
  const subscriber = end('subscriber', internet.addHost('45.80.5.1'));
  const publisher = end('publisher', internet.addHost('45.80.5.2'));
  const ends = [subscriber, publisher];
  const go = () => {
    for (const { puncher } of ends) puncher.arm(EXCHANGE);
    for (const { puncher } of ends) puncher.go();
    world.runtime.advance(500);
  };
  return { ...world, subscriber, publisher, ends, go };
}

/** The same, with a path. */
function met() {
  const world = pair();
  const { subscriber, publisher, go } = world;
  subscriber.puncher.addCandidate(candidate(publisher.main.local));
  publisher.puncher.addCandidate(candidate(subscriber.main.local));
  go();
  return world;
}

describe('an exchange', () => {
  test('finds a path on the sockets that were given, and carries packets on it', () => {
    const { subscriber, publisher, runtime } = met();
    expect([subscriber.events, publisher.events]).toEqual([
      ['armed', 'direct'],
      ['armed', 'direct'],
    ]);
    expect([subscriber.remotes, publisher.remotes]).toEqual([
      [publisher.main.local],
      [subscriber.main.local],
    ]);
    subscriber.puncher.send(quic('question'));
    publisher.puncher.send(quic('answer'));
    runtime.advance(20);
    expect([subscriber.packets, publisher.packets]).toEqual([['@answer'], ['@question']]);
  });

  test('that finds nothing says so, and drops what is to be sent', () => {
    const { subscriber, publisher, runtime, go } = pair();
    go();
    runtime.advance(3000);
    expect(subscriber.events).toEqual(['armed', 'failed: unanswered']);
    subscriber.puncher.send(quic('question'));
    runtime.advance(20);
    expect(publisher.packets).toEqual([]);
  });
});

test('only the peer gets to QUIC, and only from where it was found', () => {
  const { subscriber, publisher, internet, runtime } = met();
  const to = publisher.main.local;
  const stranger = internet.addHost('45.80.5.3').open({ family: 4 });
  stranger.send(quic('stranger'), to);
  subscriber.host.open({ family: 4 }).send(quic('elsewhere'), to);
  // STUN, probes and the rest never do.
  subscriber.main.send(Buffer.from('00010000', 'hex'), to);
  subscriber.main.send(Buffer.alloc(20, 32), to);
  runtime.advance(20);
  expect(publisher.packets).toEqual([]);
});

describe('extra sockets', () => {
  /** A symmetric NAT whose next port is measured, before somebody without one. */
  function bracket() {
    const world = punchingSockets();
    const { internet, nat, end } = world;
    const host = internet.addHost('192.168.1.2', nat(SYMMETRIC));
    const open = openOn(host);
    const allocation = { pattern: 'sequential', step: 1, range: null } as const;
    const subscriber = end('subscriber', host, { verdict: { ...symmetricVerdict, allocation } });
    const publisher = end('publisher', internet.addHost('45.80.5.2'));
    subscriber.puncher.addCandidate(candidate(publisher.main.local));
    publisher.puncher.addCandidate(candidate({ ...SYMMETRIC, port: 5000 }));
    return { ...world, open, subscriber, publisher };
  }

  const predictionOf = ({ events }: PuncherEnd): Prediction => ({
    ...{ address: SYMMETRIC.address, strategy: 'bracket' },
    ports: (events[0] ?? '').split(',').map(Number),
  });

  test('are opened for a round, and closed with it but for the one that has the path', async () => {
    const { subscriber, publisher, runtime, open } = bracket();
    for (const { puncher } of [subscriber, publisher]) puncher.arm(BRACKET, [SYMMETRIC.address]);
    await opened();
    expect(open.size).toBe(3);
    runtime.advance(100);
    publisher.puncher.predict(predictionOf(subscriber));
    for (const { puncher } of [subscriber, publisher]) puncher.go();
    runtime.advance(500);
    expect([subscriber.events.slice(1), publisher.events]).toEqual([
      ['armed', 'bracket'],
      ['armed', 'bracket'],
    ]);
    expect(open.size).toBe(1);
    subscriber.puncher.send(quic('question'));
    publisher.puncher.send(quic('answer'));
    runtime.advance(20);
    expect([subscriber.packets, publisher.packets]).toEqual([['@answer'], ['@question']]);
    subscriber.puncher.close();
    expect([open.size, subscriber.host.owns(subscriber.main)]).toEqual([0, false]);
  });

  test('are closed when nothing comes of it', async () => {
    const { subscriber, runtime, open } = bracket();
    subscriber.puncher.arm(BRACKET);
    await opened();
    runtime.advance(60_000);
    expect([subscriber.events.at(-1), open.size]).toEqual(['failed: abandoned', 0]);
  });

  test('are closed where they open too late', async () => {
    const { subscriber, open } = bracket();
    subscriber.puncher.arm(BRACKET);
    subscriber.puncher.close();
    await opened();
    expect([vi.mocked(UdpSocket.open).mock.calls.length, open.size]).toEqual([3, 0]);
    const other = bracket();
    other.subscriber.puncher.arm(BRACKET);
    other.subscriber.puncher.arm(EXCHANGE);
    await opened();
    other.runtime.advance(20_000);
    expect([other.subscriber.events.at(-1), other.open.size]).toEqual(['failed: abandoned', 0]);
  });

  test('that cannot be opened are the end of the step', async () => {
    const { subscriber, runtime } = bracket();
    vi.spyOn(UdpSocket, 'open').mockRejectedValue(new Error('EMFILE'));
    subscriber.puncher.arm(BRACKET);
    await opened();
    runtime.advance(20_000);
    expect(subscriber.events).toEqual(['failed: unmeasured']);
  });
});

describe('a peer that moves', () => {
  /** The subscriber is behind a NAT that forgets, and so comes from another port. */
  function moving() {
    const world = punchingSockets();
    const { internet, runtime, end, nat } = world;
    const router = nat({ ...CONE, filtering: 'endpoint-independent', allocation: { pattern: 'random' } });
    const subscriber = end('subscriber', internet.addHost('192.168.1.2', router));
    const publisher = end('publisher', internet.addHost('45.80.5.2'));
    subscriber.puncher.addCandidate(candidate(publisher.main.local));
    const ends = [subscriber, publisher];
    for (const { puncher } of ends) puncher.arm(EXCHANGE);
    for (const { puncher } of ends) puncher.go();
    runtime.advance(500);
    const move = () => {
      router.flush();
      runtime.advance(15_000);
    };
    const arriveFrom = (from: Endpoint | undefined, text: string) => {
      if (from !== undefined) internet.inject({ from, to: publisher.main.local, bytes: quic(text) });
      runtime.advance(20);
      return publisher.packets.splice(0);
    };
    return { ...world, subscriber, publisher, move, arriveFrom };
  }

  test('is followed, and what is on its way from before arrives, too', () => {
    const { subscriber, publisher, runtime, move, arriveFrom } = moving();
    move();
    const [before, now] = publisher.remotes;
    expect(publisher.remotes).toHaveLength(2);
    expect(before).not.toEqual(now);
    expect([arriveFrom(before, 'old'), arriveFrom(now, 'new')]).toEqual([['@old'], ['@new']]);
    publisher.puncher.send(quic('answer'));
    runtime.advance(20);
    expect(subscriber.packets).toEqual(['@answer']);
  });

  test('is not expected any more from where it was twice before', () => {
    const { publisher, move, arriveFrom } = moving();
    move();
    move();
    const [first, second, third] = publisher.remotes;
    expect(publisher.remotes).toHaveLength(3);
    const arrived = [first, second, third].map((from, i) => arriveFrom(from, `${i}`));
    expect(arrived).toEqual([[], ['@1'], ['@2']]);
  });
});

describe('the end', () => {
  test('comes when the path is dead, and is told', () => {
    const { ends, internet, runtime } = met();
    internet.lossPercent = 100;
    runtime.advance(30_000);
    for (const { events, host, main } of ends) {
      expect(events.slice(2)).toEqual(['lost']);
      expect(host.owns(main)).toBe(false);
    }
    expect(runtime.pendingTimers).toBe(0);
  });

  test('comes 1.5 s after a check that nobody answers, and not where somebody does', () => {
    const { subscriber, publisher, internet, runtime } = met();
    publisher.puncher.check();
    runtime.advance(5000);
    internet.lossPercent = 100;
    subscriber.puncher.check();
    runtime.advance(1499);
    expect(subscriber.events).not.toContain('lost');
    runtime.advance(1);
    expect([subscriber.events.at(-1), publisher.events.at(-1)]).toEqual(['lost', 'direct']);
  });

  test('leaves nothing behind, whenever it comes', () => {
    const [fresh, found, trying] = [pair(), met(), pair()];
    trying.subscriber.puncher.addCandidate(candidate({ address: '45.80.5.9', port: 5000 }));
    trying.go();
    for (const { ends, runtime } of [fresh, found, trying]) {
      const before = ends.map(({ events }) => events.length);
      for (const { puncher } of ends) {
        puncher.close();
        puncher.close();
        puncher.arm(EXCHANGE);
        puncher.go();
        puncher.addCandidate(candidate({ address: '45.80.5.9', port: 5001 }));
        puncher.send(quic('late'));
      }
      // What is on its way arrives.
      runtime.advance(20);
      expect(runtime.pendingTimers).toBe(0);
      expect(ends.map(({ events }) => events.length)).toEqual(before);
      expect(ends.some(({ host, main }) => host.owns(main))).toBe(false);
      expect(ends.flatMap(({ packets }) => packets)).toEqual([]);
    }
  });
});
