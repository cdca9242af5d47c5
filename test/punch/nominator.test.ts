import { describe, expect, test } from 'vitest';
import { Nominator } from '../../src/punch/nominator.ts';
import { Pair } from '../../src/punch/pair.ts';
import type { Nomination } from '../../src/punch/probe.ts';
import type { Question } from '../../src/punch/questions.ts';

const PEER = { address: '45.80.1.2', port: 5000 };

function setup(expected = true) {
  const said: { pair: Pair; nomination: Nomination; at: number }[] = [];
  const nominator = new Nominator({
    ask: (pair, nomination, at) => said.push({ pair, nomination, at }),
    nameOf: () => 'direct',
    isExpected: () => expected,
  });
  const run = (end: number) => {
    for (let at = nominator.pollTimeout(); at !== undefined && at <= end; at = nominator.pollTimeout()) {
      nominator.handleTimeout(at);
    }
  };
  return { nominator, said, run };
}

function pair(address: string, rtt?: number): Pair {
  const one = new Pair(0, { kind: 'host', address, port: 5000 });
  one.start(0);
  if (rtt !== undefined) one.answered(rtt, PEER);
  return one;
}

const question = (nomination: Nomination | undefined): Question => ({
  ...{ socket: 0, to: PEER, nomination, sentAt: 0 },
});

describe('the choice', () => {
  test('falls at once where nothing better can come', () => {
    const { nominator, said } = setup();
    const [near, far] = [pair('45.80.1.3', 20), pair('45.80.1.2', 40)];
    nominator.consider([far, near, pair('45.80.1.4')], 50);
    expect(said.map(({ pair }) => pair)).toEqual([near]);
  });

  test.each([
    ['a LAN', '192.168.1.2', '2a0e:a1::2'],
    ['a LAN', '10.0.0.2', '45.80.1.2'],
    ['IPv6', '2a0e:a1::2', '45.80.1.2'],
  ])('waits 80 ms for %s', (_, better, worse) => {
    const { nominator, said } = setup();
    const [hope, sure] = [pair(better), pair(worse, 10)];
    nominator.consider([hope, sure], 10);
    expect(said).toEqual([]);
    expect(nominator.pollTimeout()).toBe(90);
    nominator.consider([hope, sure], 89);
    expect(said).toEqual([]);
    hope.answered(70, PEER);
    nominator.consider([hope, sure], 89);
    expect(said.map(({ pair }) => pair)).toEqual([hope]);
  });

  test('waits no longer', () => {
    const { nominator, said } = setup();
    const [hope, sure] = [pair('192.168.1.2'), pair('45.80.1.2', 10)];
    nominator.consider([hope, sure], 10);
    nominator.consider([hope, sure], 90);
    expect(said.map(({ pair }) => pair)).toEqual([sure]);
  });

  test('does not wait for what the plan does not reckon with', () => {
    const { nominator, said } = setup(false);
    nominator.consider([pair('192.168.1.2'), pair('45.80.1.2', 10)], 10);
    expect(said).toHaveLength(1);
  });

  test('does not wait for what is given up', () => {
    const { nominator, said } = setup();
    const hopeless = pair('192.168.1.2');
    hopeless.stop();
    nominator.consider([hopeless, pair('45.80.1.2', 10)], 10);
    expect(said).toHaveLength(1);
  });
});

describe('a nomination', () => {
  test('is not begun anew by being chosen again', () => {
    const { nominator, said } = setup();
    const chosen = pair('45.80.1.2', 10);
    nominator.choose(chosen, 0);
    nominator.choose(chosen, 5);
    expect(said.map(({ nomination }) => nomination.number)).toEqual([1]);
    nominator.choose(pair('45.80.1.3', 10), 6);
    expect(said.map(({ nomination }) => nomination.number)).toEqual([1, 2]);
  });

  test('is said three times, even if it was heard at once', () => {
    const { nominator, said, run } = setup();
    nominator.consider([pair('45.80.1.2', 10)], 0);
    expect(nominator.confirms(question(nominator.nomination), nominator.nomination)).toBe(true);
    run(5000);
    expect(said.map(({ at }) => at)).toEqual([0, 20, 60]);
    expect(nominator.confirms(question(nominator.nomination), nominator.nomination)).toBe(false);
  });

  test('is not confirmed by an answer to anything else', () => {
    const { nominator } = setup();
    nominator.consider([pair('45.80.1.2', 10)], 0);
    const { nomination } = nominator;
    expect(nominator.confirms(question(undefined), nomination)).toBe(false);
    expect(nominator.confirms(question(nomination), undefined)).toBe(false);
    expect(nominator.confirms(question(nomination), { number: 2, strategy: 'direct' })).toBe(false);
  });

  test('that nobody confirms is said ten times, and then the next pair is taken, never the same', () => {
    const { nominator, said, run } = setup();
    const pairs = [pair('45.80.1.2', 10), pair('45.80.1.3', 20)];
    nominator.consider(pairs, 0);
    run(5000);
    expect(said).toHaveLength(10);
    nominator.consider(pairs, 2000);
    run(9000);
    nominator.consider(pairs, 9000);
    expect(said.map(({ pair, nomination }) => [pairs.indexOf(pair), nomination.number])).toEqual([
      ...Array.from({ length: 10 }, () => [0, 1]),
      ...Array.from({ length: 10 }, () => [1, 2]),
    ]);
  });
});
