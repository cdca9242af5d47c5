import { expect, test } from 'vitest';
import { MappingKeeper } from '../../src/nat/mapping-keeper.ts';
import { keepMapping } from '../../src/nat/mapping-keeper-client.ts';
import { ATTRIBUTE, decodeStun, encodeStun } from '../../src/nat/stun.ts';
import { encodeXorAddress } from '../../src/nat/stun-address.ts';
import type { Endpoint } from '../../src/net/endpoint.ts';
import { SharedSocket } from '../../src/net/shared-socket.ts';
import { Random } from '../support/random.ts';
import { ensure, forSeeds, mutate } from '../support/seeds.ts';
import { CONE, virtualWorld } from '../support/virtual-world.ts';

const SERVER = { address: '45.80.9.10', port: 3478 };
const BEFORE = { address: '45.80.1.2', port: 40_000 };
const AFTER = { address: '45.80.1.2', port: 50_000 };

function keeping(seed = 1) {
  const random = new Random(seed);
  const keeper = new MappingKeeper({
    ...{ server: SERVER, reflexive: BEFORE },
    randomBytes: (size) => random.bytes(size),
  });
  const take = () => {
    const outputs = [];
    for (let next = keeper.pollOutput(); next; next = keeper.pollOutput()) outputs.push(next);
    return outputs;
  };
  /** Waits for the next request, and says when and what it is. */
  const next = () => {
    const at = keeper.pollTimeout() ?? Number.NaN;
    keeper.handleTimeout(at);
    const [output] = take();
    if (output?.type !== 'send') throw new Error('nothing was asked');
    return { at, to: output.to, bytes: output.bytes };
  };
  keeper.start(0);
  return { keeper, take, next };
}

function answerTo(request: Buffer, mapped: Endpoint): Buffer {
  const transactionId = decodeStun(request)?.transactionId ?? Buffer.alloc(12);
  const attributes = [[ATTRIBUTE.xorMappedAddress, encodeXorAddress(mapped, transactionId)]] as const;
  return encodeStun({ class: 'success', transactionId, attributes });
}

test('the server is asked every 20 to 25 s, at different times, and an answer as before is no news', () => {
  const pauses = new Set<number>();
  forSeeds(50, (_, seed) => {
    const { keeper, take, next } = keeping(seed);
    let last = 0;
    for (let i = 0; i < 5; i++) {
      const { at, to, bytes } = next();
      expect(to).toEqual(SERVER);
      expect(at - last).toBeGreaterThanOrEqual(20_000);
      expect(at - last).toBeLessThanOrEqual(25_000);
      pauses.add(Math.round((at - last) / 1000));
      last = at;
      keeper.receive(SERVER, answerTo(bytes, BEFORE), at + 40);
      expect(take()).toEqual([]);
    }
  });
  expect(pauses.size).toBeGreaterThanOrEqual(5);
});

test('where the mapping is doubted the server is asked at once', () => {
  const { keeper, next } = keeping();
  keeper.doubt(7000);
  expect(next()).toMatchObject({ at: 7000, to: SERVER });
});

test('a request that is not answered is sent again, and soon given up', () => {
  const { keeper, take, next } = keeping();
  const { at, bytes } = next();
  const again: number[] = [];
  for (let time = keeper.pollTimeout() ?? 0; time < at + 19_000; time = keeper.pollTimeout() ?? 0) {
    keeper.handleTimeout(time);
    for (const output of take()) {
      expect(output).toEqual({ type: 'send', to: SERVER, bytes });
      again.push(time - at);
    }
  }
  expect(again).toEqual([100, 300, 700]);
});

test('another mapping is told once, and its end again', () => {
  const { keeper, take, next } = keeping();
  const told = [BEFORE, AFTER, AFTER, BEFORE].map((mapped) => {
    const { at, bytes } = next();
    keeper.receive(SERVER, answerTo(bytes, mapped), at + 40);
    return take();
  });
  const moved = (reflexive: Endpoint) => [{ type: 'moved', reflexive }];
  expect(told).toEqual([[], moved(AFTER), [], moved(BEFORE)]);
});

test('three requests in a row without an answer are silence, and three more are again; one answer begins anew', () => {
  const { keeper, take } = keeping();
  const asked = new Set<string>();
  const silent: number[] = [];
  while (asked.size < 12) {
    const now = keeper.pollTimeout() ?? Number.NaN;
    keeper.handleTimeout(now);
    for (const output of take()) {
      if (output.type === 'silent') silent.push(asked.size);
      if (output.type !== 'send') continue;
      asked.add(output.bytes.toString('hex'));
      if (asked.size === 8) keeper.receive(SERVER, answerTo(output.bytes, BEFORE), now + 1);
    }
  }
  expect(silent).toEqual([3, 6, 11]);
});

test('an error response is a sign of life, and names no mapping', () => {
  const { keeper, take, next } = keeping();
  for (let i = 0; i < 6; i++) {
    const { at, bytes } = next();
    const transactionId = decodeStun(bytes)?.transactionId ?? Buffer.alloc(12);
    keeper.receive(SERVER, encodeStun({ class: 'error', transactionId }), at + 40);
    expect(take()).toEqual([]);
  }
});

test('no bytes from anywhere throw, and only the server’s answer to the last request moves anything', () => {
  let moves = 0;
  forSeeds(3000, (random, seed) => {
    const { keeper, take, next } = keeping(seed);
    const { at, bytes } = next();
    const whole = answerTo(bytes, AFTER);
    const from = random.pick([SERVER, { ...SERVER, port: 3479 }, BEFORE]);
    const hostile = random.next() < 0.2 ? random.bytes(random.integer(120)) : mutate(whole, random);
    keeper.receive(from, hostile, at + 40);
    const told = take();
    moves += told.length;
    ensure(told.length === 0 || from === SERVER, 'it is the server’s');
    ensure(told.length === 0 || hostile.includes(bytes.subarray(8, 20)), 'it has the id');
    keeper.receive(SERVER, answerTo(bytes, AFTER), at + 60);
    ensure(told.length > 0 || take().length === 1, 'the right one still counts');
  });
  expect(moves).toBeLessThan(150);
});

/** A host behind a NAT that forgets what was quiet for 30 s, and a share of its socket. */
function home() {
  const { runtime, server, internet, behind } = virtualWorld();
  const { host, nat } = behind({ ...CONE, allocation: { pattern: 'constant' }, idleMs: 30_000 });
  const socket = new SharedSocket(host.open({ family: 4 }));
  const [to = SERVER] = server.endpoints;
  const share = socket.share();
  let seen: Endpoint | undefined;
  internet.onPacket = ({ from }) => {
    if (from.address === nat.address) seen = from;
    return undefined;
  };
  share.send(Buffer.alloc(4), to);
  if (seen === undefined) throw new Error('nothing came out');
  const told: (Endpoint | 'silent')[] = [];
  const keeper = keepMapping({
    ...{ socket: share, server: to, reflexive: seen, runtime },
    onMoved: (reflexive) => told.push(reflexive),
    onSilent: () => told.push('silent'),
    onVouched: () => {},
  });
  const look = () => {
    socket.share().send(Buffer.alloc(4), { ...SERVER, port: 9 });
    return seen;
  };
  return { runtime, server, nat, keeper, told, look, first: seen };
}

test('on a socket, a mapping lives for as long as it is kept', () => {
  const { runtime, keeper, told, look, first } = home();
  runtime.advance(600_000);
  expect(look()).toEqual(first);
  expect(told).toEqual([]);
  keeper.stop();
  runtime.advance(100);
  expect(runtime.pendingTimers).toBe(0);
  runtime.advance(60_000);
  expect(look()).not.toEqual(first);
});

test('on a socket, a NAT that has forgotten and a server that has gone are noticed', () => {
  const { runtime, server, nat, keeper, told, look } = home();
  nat.flush();
  runtime.advance(25_100);
  expect(told).toEqual([look()]);
  server.manners.silent = true;
  runtime.advance(80_000);
  expect(told.slice(1)).toEqual(['silent']);
  server.manners.silent = false;
  nat.flush();
  keeper.stop();
  runtime.advance(100_000);
  expect(told).toHaveLength(2);
});
