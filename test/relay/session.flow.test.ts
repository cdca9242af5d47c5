import { describe, expect, it } from 'vitest';
import { Budget } from '../../src/net/budget.ts';
import { Flag, FrameType, INITIAL_WINDOW, URGENT_WINDOW } from '../../src/relay/frame.ts';
import { SEND_MARK, type YamuxSession } from '../../src/relay/session.ts';
import { accepted, outputs, payload, sent, session } from '../support/lone-session.ts';
import { frameBytes } from '../support/naive-frames.ts';

const { data, windowUpdate, ping } = FrameType;
const { syn, ack } = Flag;

describe('scheduling', () => {
  it('gives every stream a turn, so that a little waits for one frame of each bulk stream at most', () => {
    const client = session({ role: 'client' });
    for (let i = 0; i < 3; i++) client.open(0);
    sent(client);
    client.write(1, Buffer.alloc(200_000));
    client.write(3, Buffer.alloc(200_000));
    const order = sent(client, 1).map(({ stream }) => stream);
    client.write(5, Buffer.from('now'));
    order.push(...sent(client).map(({ stream }) => stream));
    expect(order.indexOf(5)).toBeLessThanOrEqual(3);
    expect(order.slice(0, 2)).toEqual([1, 3]);
  });

  it('yields about as much as it is asked for', () => {
    const client = session({ role: 'client' });
    client.open(0);
    sent(client);
    client.write(1, Buffer.alloc(INITIAL_WINDOW));
    const buffers: Buffer[] = [];
    const size = client.transmit(1000, buffers);
    expect(size).toBeGreaterThanOrEqual(1000);
    expect(size).toBeLessThanOrEqual(1000 + 96 * 1024);
    expect(Buffer.concat(buffers)).toHaveLength(size);
  });

  it('stops at the peer’s window and goes on when it opens', () => {
    const s = accepted();
    s.write(1, Buffer.alloc(INITIAL_WINDOW + 10));
    const bytes = sent(s).reduce((sum, { length }) => sum + length, 0);
    expect(bytes).toBe(INITIAL_WINDOW);
    s.receive(frameBytes(windowUpdate, 0, 1, 4), 0);
    expect(sent(s)).toMatchObject([{ type: data, length: 4 }]);
    expect(sent(s)).toEqual([]);
  });

  it('says drain once after it was full', () => {
    const s = accepted();
    s.write(1, Buffer.alloc(SEND_MARK - 1));
    expect(s.isBlocked(1)).toBe(false);
    s.write(1, Buffer.alloc(1));
    expect(s.isBlocked(1)).toBe(true);
    sent(s);
    expect(outputs(s)).toEqual([{ type: 'drain', id: 1 }]);
    expect(s.isBlocked(1)).toBe(false);
  });
});

describe('urgent streams', () => {
  /** A client with bulk on stream 1 and an urgent stream 3. */
  function mixed() {
    const client = session({ role: 'client' });
    for (let i = 0; i < 2; i++) client.open(0);
    client.makeUrgent(3);
    client.makeUrgent(3);
    sent(client);
    return client;
  }

  it('go first', () => {
    const client = mixed();
    client.write(1, Buffer.alloc(200_000));
    expect(sent(client, 1)).toMatchObject([{ stream: 1 }]);
    client.write(3, Buffer.from('now'));
    expect(sent(client, 1)).toMatchObject([{ stream: 3, length: 3 }]);
  });

  it('let bulk have a frame after 64 KiB', () => {
    const client = mixed();
    client.receive(frameBytes(windowUpdate, ack, 3, 300_000), 0);
    client.write(1, Buffer.alloc(200_000));
    const order: number[] = [];
    for (let i = 0; i < 10; i++) {
      client.write(3, Buffer.alloc(16_384));
      order.push(...sent(client, 1).map(({ stream }) => stream));
    }
    expect(order).toEqual([3, 3, 3, 3, 1, 3, 3, 3, 1, 3]);
  });

  it('have windows of 64 KiB both ways', () => {
    const client = mixed();
    client.write(3, Buffer.alloc(100_000));
    expect(sent(client).reduce((sum, { length }) => sum + length, 0)).toBe(URGENT_WINDOW);
    client.receive(frameBytes(data, ack, 3, URGENT_WINDOW, payload(URGENT_WINDOW)), 0);
    expect(outputs(client).map(({ type }) => type)).toEqual(['data']);
    client.consume(3, URGENT_WINDOW / 2, 10_000);
    expect(sent(client)).toMatchObject([{ type: windowUpdate, stream: 3, length: URGENT_WINDOW / 2 }]);
    client.receive(frameBytes(data, 0, 3, URGENT_WINDOW / 2 + 1, payload(URGENT_WINDOW / 2 + 1)), 0);
    expect(outputs(client).at(-1)).toMatchObject({ reason: 'protocol' });
  });

  it('stop their writer sooner, and give back all that they took', () => {
    const budget = new Budget(1 << 30);
    const client = session({ role: 'client', budget });
    client.open(0);
    client.makeUrgent(1);
    expect(budget.used).toBe(URGENT_WINDOW);
    client.write(1, Buffer.alloc(16 * 1024));
    expect(client.isBlocked(1)).toBe(true);
    sent(client);
    expect(outputs(client)).toEqual([{ type: 'drain', id: 1 }]);
    client.close();
    expect(budget.used).toBe(0);
  });
});

describe('liveness', () => {
  const opening = frameBytes(windowUpdate, syn, 1, 0);

  it('is asked for every 5 s while a stream is open, where that is wished', () => {
    const s = session({ busyInterval: 5000 });
    s.handleTimeout(0);
    s.receive(frameBytes(ping, ack, 0, sent(s)[0]?.length ?? 0), 10);
    expect(s.pollTimeout()).toBe(30_000);
    s.receive(opening, 1000);
    expect(s.pollTimeout()).toBe(5000);
    s.reset(1);
    expect(s.pollTimeout()).toBe(30_000);
    s.use(2000);
    expect(s.pollTimeout()).toBe(5000);
  });

  it('is asked for at once by a check, which ends the session after 5 s', () => {
    const s = accepted();
    s.handleTimeout(0);
    s.receive(frameBytes(ping, ack, 0, sent(s)[0]?.length ?? 0), 10);
    s.check(1000);
    s.check(2000);
    expect(sent(s)).toMatchObject([{ type: ping, flags: syn }]);
    s.handleTimeout(5999);
    expect(s.closed).toBe(false);
    s.handleTimeout(6000);
    expect(outputs(s).at(-1)).toMatchObject({ type: 'closed', reason: 'timeout' });
    s.check(7000);
    expect(sent(s)).toEqual([]);
  });
});

describe('the receive window', () => {
  it('opens as bytes are consumed, and not before', () => {
    const s = accepted();
    s.receive(frameBytes(data, 0, 1, INITIAL_WINDOW, payload(INITIAL_WINDOW)), 1000);
    expect(sent(s)).toEqual([]);
    s.consume(1, INITIAL_WINDOW / 2 - 1, 1000);
    expect(sent(s)).toEqual([]);
    s.consume(1, 1, 1000);
    expect(sent(s)).toMatchObject([{ type: windowUpdate, flags: 0, length: INITIAL_WINDOW / 2 }]);
  });

  it('grows while it is what limits the sender', () => {
    const s = accepted({ maxWindow: INITIAL_WINDOW * 4 });
    let granted = INITIAL_WINDOW;
    for (let i = 0; i < 20; i++) {
      s.receive(frameBytes(data, 0, 1, granted, payload(granted)), 1);
      s.consume(1, granted, 1);
      granted = sent(s).reduce((sum, { length }) => sum + length, 0);
    }
    expect(granted).toBe(INITIAL_WINDOW * 4);
  });

  it('takes many grants into one frame', () => {
    const s = accepted();
    for (let i = 0; i < 4; i++) {
      s.receive(frameBytes(data, 0, 1, INITIAL_WINDOW / 2, payload(INITIAL_WINDOW / 2)), 1e6 + i * 1e6);
      s.consume(1, INITIAL_WINDOW / 2, 1e6 + i * 1e6);
    }
    expect(sent(s)).toMatchObject([{ type: windowUpdate, length: INITIAL_WINDOW * 2 }]);
  });
});

describe('the heartbeat', () => {
  const firstPing = (s: YamuxSession, now: number) => {
    s.handleTimeout(now);
    return sent(s).filter(({ type }) => type === ping);
  };

  it('pings, and measures the round trip', () => {
    const s = accepted();
    expect(s.rtt).toBeUndefined();
    const [first] = firstPing(s, 0);
    expect(first).toMatchObject({ flags: syn, stream: 0 });
    s.receive(frameBytes(ping, ack, 0, (first?.length ?? 0) + 1), 30);
    expect(s.rtt).toBeUndefined();
    s.receive(frameBytes(ping, ack, 0, first?.length ?? 0), 40);
    expect(s.rtt).toBe(40);
    expect(s.pollTimeout()).toBe(30_000);
    const [second] = firstPing(s, 30_000);
    s.receive(frameBytes(ping, ack, 0, second?.length ?? 0), 30_080);
    expect(s.rtt).toBe(45);
  });

  it('ends the session after 10 s without a sign of life', () => {
    const s = accepted();
    firstPing(s, 0);
    s.handleTimeout(9_999);
    expect(outputs(s)).toEqual([]);
    s.handleTimeout(10_000);
    expect(outputs(s)).toEqual([
      { type: 'reset', id: 1 },
      { type: 'closed', reason: 'timeout' },
    ]);
    expect(s.pollTimeout()).toBeUndefined();
  });

  it('takes any byte for a sign of life', () => {
    const s = accepted();
    firstPing(s, 0);
    s.receive(frameBytes(data, 0, 1, 5, 'hello').subarray(0, 14), 9_000);
    expect(s.pollTimeout()).toBe(19_000);
    s.handleTimeout(10_000);
    expect(s.closed).toBe(false);
  });

  it('notices that the path of a quiet session is gone, before a stream is opened on it', () => {
    const s = accepted();
    const [first] = firstPing(s, 0);
    s.receive(frameBytes(ping, ack, 0, first?.length ?? 0), 5);
    s.reset(1);
    outputs(s);
    expect(s.pollTimeout()).toBe(30_000);
    expect(firstPing(s, 30_000)).toHaveLength(1);
    s.handleTimeout(40_000);
    expect(outputs(s)).toEqual([{ type: 'closed', reason: 'timeout' }]);
  });

  it('waits for the answer to a ping, though the last stream goes and another comes', () => {
    const s = accepted();
    const [first] = firstPing(s, 0);
    s.reset(1);
    for (const now of [100, 2000, 9000]) {
      const id = s.open(now) ?? 0;
      expect(firstPing(s, now)).toEqual([]);
      s.reset(id);
    }
    s.open(9500);
    expect(s.pollTimeout()).toBe(10_000);
    s.receive(frameBytes(ping, ack, 0, first?.length ?? 0), 9_999);
    expect(s.rtt).toBe(9_999);
  });

  it('answers pings', () => {
    const s = session();
    s.receive(frameBytes(ping, syn, 0, 0xdeadbeef), 0);
    expect(sent(s)).toMatchObject([{ type: ping, flags: ack, stream: 0, length: 0xdeadbeef }]);
  });
});
