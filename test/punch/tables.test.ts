import { describe, expect, test } from 'vitest';
import { MAX_UNANSWERED, Pair } from '../../src/punch/pair.ts';
import { Proven } from '../../src/punch/proven.ts';
import { Questions } from '../../src/punch/questions.ts';
import { ReplayGuard } from '../../src/punch/replay-guard.ts';

const PEER = { address: '45.80.1.2', port: 5000 };
const OTHER = { address: '45.80.1.2', port: 5001 };
const id = (n: number) => {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(n);
  return bytes;
};

describe('questions', () => {
  const asked = (n = 1, sentAt = 0) => {
    const questions = new Questions();
    for (let i = 1; i <= n; i++) questions.add(id(i), { socket: 0, to: PEER, nomination: undefined, sentAt });
    return questions;
  };

  test('are answered once, in time, where they were asked', () => {
    const questions = asked();
    expect(questions.take(id(1), 0, OTHER, 10)).toBeUndefined();
    expect(questions.take(id(1), 1, PEER, 10)).toBeUndefined();
    expect(questions.take(id(2), 0, PEER, 10)).toBeUndefined();
    expect(questions.take(id(1), 0, PEER, 10)).toMatchObject({ sentAt: 0 });
    expect(questions.take(id(1), 0, PEER, 10)).toBeUndefined();
    expect(asked().take(id(1), 0, PEER, 4999)).toBeDefined();
    expect(asked().take(id(1), 0, PEER, 5000)).toBeUndefined();
  });

  test('are forgotten when they are many, the oldest first', () => {
    const questions = asked(2049);
    expect(questions.take(id(1), 0, PEER, 10)).toBeUndefined();
    expect(questions.take(id(2), 0, PEER, 10)).toBeDefined();
  });
});

describe('proven addresses', () => {
  test('are those that answered on that socket, for half a minute', () => {
    const proven = new Proven();
    proven.add(0, PEER, 0);
    expect(proven.has(0, PEER, 29_999)).toBe(true);
    expect(proven.has(0, PEER, 30_000)).toBe(false);
    expect(proven.has(0, OTHER, 0)).toBe(false);
    expect(proven.has(1, PEER, 0)).toBe(false);
  });

  test('are eight at most, and those that answer again stay', () => {
    const proven = new Proven();
    for (let socket = 0; socket < 8; socket++) proven.add(socket, PEER, 0);
    proven.add(0, PEER, 1);
    proven.add(8, PEER, 2);
    expect(Array.from({ length: 9 }, (_, socket) => proven.has(socket, PEER, 2))).toEqual([
      true,
      false,
      ...Array.from({ length: 7 }, () => true),
    ]);
  });
});

describe('replays', () => {
  test('are what comes again from elsewhere', () => {
    const guard = new ReplayGuard();
    expect(guard.admits(id(1), 0, PEER)).toBe(true);
    expect(guard.admits(id(1), 0, PEER)).toBe(true);
    expect(guard.admits(id(1), 0, OTHER)).toBe(false);
    expect(guard.admits(id(1), 1, PEER)).toBe(false);
    expect(guard.admits(id(2), 0, OTHER)).toBe(true);
  });

  test('are remembered a thousand questions long', () => {
    const guard = new ReplayGuard();
    for (let n = 0; n < 1024; n++) guard.admits(id(n), 0, PEER);
    expect(guard.admits(id(0), 0, OTHER)).toBe(false);
    guard.admits(id(1024), 0, PEER);
    expect(guard.admits(id(0), 0, OTHER)).toBe(true);
  });
});

describe('a pair', () => {
  const pair = () => new Pair(0, { kind: 'host', ...PEER });
  /** When it wants probes, from its start on. */
  const times = (one: Pair, most = 100) => {
    const all: number[] = [];
    for (let at = one.nextAt; at !== undefined && all.length < most; at = one.nextAt) {
      all.push(at);
      one.sent();
    }
    return all;
  };

  test('is probed ten times in vain, once', () => {
    const one = pair();
    expect(one.nextAt).toBeUndefined();
    one.start(1000);
    expect(times(one).map((at) => at - 1000)).toEqual([0, 20, 60, 140, 300, 500, 700, 900, 1100, 1300]);
    one.start(9000);
    expect(one.nextAt).toBeUndefined();
  });

  test('is probed three times more once it was answered', () => {
    const one = pair();
    one.start(0);
    times(one, 2);
    one.answered(40, PEER);
    expect(times(one)).toEqual([60, 140, 300]);
    expect(one.valid).toBe(true);
    const late = pair();
    late.start(0);
    times(late, 9);
    late.answered(40, PEER);
    expect(times(late)).toHaveLength(1);
  });

  test('provoked by the peer it begins, and then answers back a bounded number of times, until it is proven', () => {
    const one = pair();
    expect(one.provoke(0, false)).toBe(false);
    expect(one.nextAt).toBe(0);
    const back = () => Array.from({ length: 30 }, () => one.provoke(1, false)).filter(Boolean);
    expect(back()).toHaveLength(MAX_UNANSWERED);
    one.answered(40, PEER);
    expect(one.provoke(50, true)).toBe(false);
    // Proven in an earlier step, but not on this pair.
    const other = pair();
    other.start(0);
    expect(other.provoke(50, true)).toBe(true);
    // The peer comes back after a long time.
    expect(back()).toHaveLength(MAX_UNANSWERED);
  });

  test('is looked at again a few times, as if it were new', () => {
    const one = pair();
    one.start(0);
    times(one);
    one.answered(40, PEER);
    one.look(60_000);
    expect(one).toMatchObject({ valid: false, answers: 0 });
    expect(times(one).map((at) => at - 60_000)).toEqual([0, 20, 60, 140]);
    one.answered(30, PEER);
    expect(one).toMatchObject({ valid: true, answers: 1, rtt: 30 });
  });

  test('smooths its round trip', () => {
    const one = pair();
    one.answered(40, PEER);
    one.answered(80, OTHER);
    expect(one).toMatchObject({ rtt: 45, seen: OTHER, answers: 2 });
  });
});
