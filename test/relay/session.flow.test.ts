import { describe, expect, it } from 'vitest';
import { Flag, FrameType, INITIAL_WINDOW } from '../../src/relay/frame.ts';
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
