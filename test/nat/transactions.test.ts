import { expect, test } from 'vitest';
import { ATTRIBUTE, decodeStun, encodeStun } from '../../src/nat/stun.ts';
import { encodeXorAddress, mappedAddress } from '../../src/nat/stun-address.ts';
import { type StunAnswer, Transactions } from '../../src/nat/transactions.ts';
import type { Endpoint } from '../../src/net/endpoint.ts';
import { Random } from '../support/random.ts';
import { ensure, forSeeds, mutate } from '../support/seeds.ts';

const SERVER = { address: '45.80.9.10', port: 3478 };
const OTHER = { address: '45.80.9.11', port: 3479 };
const MAPPED = { address: '45.80.1.2', port: 40_000 };

/** Transactions with one request under way, and what becomes of it. */
function world(options: { from?: Endpoint; deadline?: number } = {}) {
  const random = new Random(1);
  const transactions = new Transactions((size) => random.bytes(size));
  const settled: (StunAnswer | undefined)[] = [];
  const { deadline = 1500, from } = options;
  transactions.start({ socket: 7, to: SERVER, from, deadline }, (answer) => settled.push(answer), 0);
  const sent = () => {
    const all = [];
    for (let next = transactions.pollTransmit(); next; next = transactions.pollTransmit()) all.push(next);
    return all;
  };
  const [first] = sent();
  const transactionId = first && decodeStun(first.bytes)?.transactionId;
  if (transactionId === undefined) throw new Error('no request was sent');
  const answer = (id = transactionId, kind: 'success' | 'error' | 'request' = 'success') =>
    encodeStun({
      class: kind,
      transactionId: id,
      attributes: [[ATTRIBUTE.xorMappedAddress, encodeXorAddress(MAPPED, id)]],
    });
  return { transactions, settled, sent, answer, transactionId };
}

test('an answer settles the request, with what it says and how long it took', () => {
  const { transactions, settled, answer, sent } = world();
  expect(transactions.receive(7, SERVER, answer(), 21)).toBe(true);
  expect(settled.map((one) => one && [mappedAddress(one.message), one.rtt])).toEqual([[MAPPED, 21]]);
  expect(transactions.pollTimeout()).toBeUndefined();
  transactions.handleTimeout(1000);
  expect(sent()).toEqual([]);
});

test('a lost packet is sent again after 100, 300 and 700 ms, the same bytes to the same place, and given up in the end', () => {
  const { transactions, settled, sent } = world();
  const times: number[] = [];
  for (let next = transactions.pollTimeout(); next !== undefined; next = transactions.pollTimeout()) {
    transactions.handleTimeout(next);
    for (const { socket, to } of sent()) {
      expect([socket, to]).toEqual([7, SERVER]);
      times.push(next);
    }
  }
  expect(times).toEqual([100, 300, 700]);
  expect(settled).toEqual([undefined]);
  expect(transactions.size).toBe(0);
});

test('an answer to the third transmission counts', () => {
  const { transactions, settled, answer } = world();
  transactions.handleTimeout(100);
  transactions.handleTimeout(300);
  transactions.receive(7, SERVER, answer(), 321);
  expect(settled).toHaveLength(1);
  expect(settled[0]?.rtt).toBe(321);
});

test('a late answer is nobody’s', () => {
  const { transactions, settled, answer } = world();
  transactions.handleTimeout(1500);
  expect(transactions.receive(7, SERVER, answer(), 1501)).toBe(false);
  expect(settled).toEqual([undefined]);
});

test('a repeated answer settles once', () => {
  const { transactions, settled, answer } = world();
  expect(transactions.receive(7, SERVER, answer(), 20)).toBe(true);
  expect(transactions.receive(7, SERVER, answer(), 21)).toBe(false);
  expect(settled).toHaveLength(1);
});

test('an answer from the wrong address, on the wrong socket or with a wrong transaction id is dropped', () => {
  const { transactions, settled, answer, transactionId } = world();
  expect(transactions.receive(7, OTHER, answer(), 20)).toBe(false);
  expect(transactions.receive(7, { ...SERVER, port: 3479 }, answer(), 20)).toBe(false);
  expect(transactions.receive(8, SERVER, answer(), 20)).toBe(false);
  const wrong = Buffer.from(transactionId);
  wrong.writeUInt8(wrong.readUInt8() ^ 1);
  expect(transactions.receive(7, SERVER, answer(wrong), 20)).toBe(false);
  expect(settled).toEqual([]);
  expect(transactions.receive(7, SERVER, answer(), 20)).toBe(true);
});

test('an answer that was asked for from elsewhere comes from there and from nowhere else', () => {
  const { transactions, settled, answer } = world({ from: OTHER });
  expect(transactions.receive(7, SERVER, answer(), 20)).toBe(false);
  expect(transactions.receive(7, OTHER, answer(), 20)).toBe(true);
  expect(settled).toHaveLength(1);
});

test('an error response is an answer; a request is none', () => {
  const { transactions, settled, answer } = world();
  expect(transactions.receive(7, SERVER, answer(undefined, 'request'), 20)).toBe(false);
  expect(transactions.receive(7, SERVER, answer(undefined, 'error'), 20)).toBe(true);
  expect(settled[0]?.message.class).toBe('error');
});

test('whoever is told of one answer may end all the others', () => {
  const random = new Random(2);
  const transactions = new Transactions((size) => random.bytes(size));
  let calls = 0;
  for (let i = 0; i < 5; i++) {
    transactions.start(
      { socket: i, to: SERVER, deadline: 50 },
      () => {
        calls++;
        transactions.clear();
      },
      0,
    );
  }
  transactions.handleTimeout(50);
  expect(calls).toBe(1);
  expect([transactions.size, transactions.pollTransmit()]).toEqual([0, undefined]);
});

test('there are never more than 256 under way', () => {
  const random = new Random(3);
  const transactions = new Transactions((size) => random.bytes(size));
  const refused: unknown[] = [];
  for (let i = 0; i < 300; i++) {
    transactions.start({ socket: i, to: SERVER, deadline: 50 }, (answer) => refused.push(answer), 0);
  }
  expect([transactions.size, refused.length]).toEqual([256, 44]);
});

test('no bytes whatever throw, and none settle a request without its transaction id', () => {
  const whole = world().answer();
  let settledAtAll = 0;
  forSeeds(5000, (random) => {
    const { transactions, settled, transactionId } = world();
    const bytes = random.next() < 0.2 ? random.bytes(random.integer(120)) : mutate(whole, random);
    transactions.receive(7, SERVER, bytes, 5);
    settledAtAll += settled.length;
    ensure(settled.length === 0 || bytes.includes(transactionId), 'it has the id');
  });
  expect(settledAtAll).toBeLessThan(200);
});
