import { beforeEach, describe, expect, it } from 'vitest';
import { UnderpassError } from '../../src/errors.ts';
import { Backoff } from '../../src/signaling/backoff.ts';
import type { ClientOutput } from '../../src/signaling/client-output.ts';
import { ClientSession } from '../../src/signaling/client-session.ts';
import { encode, type ServerMessage } from '../../src/signaling/messages.ts';
import { Random } from '../support/random.ts';
import { coneVerdict } from '../support/verdict.ts';

const b64u = (size: number, fill = 0) => Buffer.alloc(size, fill).toString('base64url');
const hello: ServerMessage = { type: 'hello', protocol: [1], server_version: 'x', challenge: b64u(32, 9) };
const limits = { message_bytes: 1, frame_bytes: 1, streams_per_link: 1 };
const authOk: ServerMessage = { type: 'auth_ok', session: b64u(16, 5), resumed: false, limits };
const connect = {
  type: 'p2p_connect',
  link: b64u(16, 1),
  name: 'game',
  key_id: 0,
  hash: 'ab'.repeat(32),
  offer: 'AA',
  mac: b64u(32),
  wait: true,
} as const;

let session: ClientSession;

beforeEach(() => {
  session = new ClientSession({
    version: 'test',
    token: 'secret-token',
    identity: b64u(32),
    sign: (challenge) => Buffer.concat([challenge, challenge]),
    random: () => 0,
  });
});

function outputs(): ClientOutput[] {
  const all: ClientOutput[] = [];
  for (let output = session.pollOutput(); output; output = session.pollOutput()) all.push(output);
  return all;
}

const hear = (message: ServerMessage, now = 0) => session.receive(encode(message), now);
const sent = () => outputs().flatMap((output) => (output.type === 'send' ? [JSON.parse(output.text)] : []));

function goOnline(now = 0): void {
  session.start();
  session.opened(now);
  hear(hello, now);
  hear(authOk, now);
  outputs();
}

describe('the handshake', () => {
  it('says nothing before hello, then proves who it is', () => {
    session.start();
    session.opened(0);
    expect(outputs()).toEqual([{ type: 'connect' }]);
    hear(hello);
    expect(sent()).toEqual([
      {
        type: 'auth',
        protocol: 1,
        client_version: 'test',
        identity: b64u(32),
        signature: b64u(64, 9),
        token: 'secret-token',
      },
    ]);
    hear(authOk);
    expect(outputs()).toEqual([{ type: 'online', resumed: false, limits }]);
    expect(session.online).toBe(true);
  });

  it('is given up after 10 s', () => {
    session.start();
    session.opened(0);
    expect(session.pollTimeout()).toBe(10_000);
    session.handleTimeout(10_000);
    expect(outputs().slice(1)).toMatchObject([
      { type: 'disconnect' },
      { type: 'offline', error: { code: 'heartbeat_timeout' }, retry_in_ms: 250 },
    ]);
  });

  it.each([
    [{ ...hello, protocol: [2] }, 'fatal', 'protocol_unsupported'],
    [{ type: 'auth_error', code: 'auth_failed', message: '' }, 'fatal', 'auth_failed'],
    [{ type: 'auth_error', code: 'rate_limited', message: '' }, 'offline', 'rate_limited'],
    [{ type: 'auth_error', code: 'code_of_the_future', message: 'why' }, 'offline', 'protocol_error'],
    [authOk, 'offline', 'protocol_error'],
    [{ type: 'pong', timestamp: 1 }, 'offline', 'protocol_error'],
  ] as [ServerMessage, string, string][])('answers %j with %s %s', (message, type, code) => {
    session.start();
    session.opened(0);
    outputs();
    hear(message);
    expect(outputs()).toMatchObject([{ type: 'disconnect' }, { type, error: { code } }]);
  });

  it('is not tried again when the server cannot be trusted', () => {
    session.start();
    session.failed(new UnderpassError('server_untrusted', { host: 'x', problem: 'y', fingerprint: 'z' }), 0);
    expect(outputs().at(-1)).toMatchObject({ type: 'fatal', error: { code: 'server_untrusted' } });
    expect(session.pollTimeout()).toBeUndefined();
  });
});

describe('attempts', () => {
  it('come twice as late each time, up to 15 s, with jitter, and quickly again after a good connection', () => {
    session.start();
    const delays: number[] = [];
    let now = 0;
    for (let i = 0; i < 9; i++) {
      session.failed(new UnderpassError('server_unreachable', { host: 'x', problem: 'y' }), now);
      const offline = outputs().at(-1);
      if (offline?.type === 'offline') delays.push(offline.retry_in_ms);
      now = session.pollTimeout() ?? Number.NaN;
      session.handleTimeout(now);
    }
    expect(delays).toEqual([250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
    session.opened(now);
    hear(hello, now);
    hear(authOk, now);
    session.closed(1006, now + 10_000);
    expect(outputs().at(-1)).toMatchObject({ type: 'offline', retry_in_ms: 250 });
  });

  it('are spread out by up to a half, and rare when the server is full', () => {
    const backoff = new Backoff(() => 0.999999);
    expect([backoff.next(false), backoff.next(false), backoff.next(true)]).toEqual([125, 250, 7500]);
  });
});

describe('the heartbeat', () => {
  it('pings every 30 s and gives up 10 s after one that is not answered', () => {
    goOnline();
    session.handleTimeout(30_000);
    expect(sent()).toEqual([{ type: 'ping', timestamp: 30_000 }]);
    hear({ type: 'pong', timestamp: 30_000 }, 30_010);
    expect(session.pollTimeout()).toBe(60_000);
    session.handleTimeout(60_000);
    session.handleTimeout(69_999);
    expect(session.online).toBe(true);
    session.handleTimeout(70_000);
    expect(outputs().at(-1)).toMatchObject({ type: 'offline', error: { code: 'heartbeat_timeout' } });
  });
});

describe('a heartbeat that looks late', () => {
  it('looks twice, once: what has arrived may be unread', () => {
    goOnline();
    session.handleTimeout(30_000);
    session.handleTimeout(60_000);
    expect([session.online, session.pollTimeout()]).toEqual([true, 62_000]);
    hear({ type: 'pong', timestamp: 30_000 }, 60_001);
    session.handleTimeout(60_001);
    session.handleTimeout(90_000);
    session.handleTimeout(120_000);
    expect(session.online).toBe(true);
    session.handleTimeout(122_000);
    expect(session.online).toBe(false);
  });
});

describe('a check', () => {
  it('pings at once, and gives the server 5 s', () => {
    goOnline();
    session.check(1000);
    session.check(3000);
    expect(sent()).toEqual([{ type: 'ping', timestamp: 1000 }]);
    session.handleTimeout(5999);
    expect(session.online).toBe(true);
    session.handleTimeout(6000);
    expect(outputs().at(-1)).toMatchObject({ type: 'offline', error: { code: 'heartbeat_timeout' } });
  });

  it('changes nothing when the server answers, or when there is no connection', () => {
    goOnline();
    session.check(1000);
    hear({ type: 'pong', timestamp: 1000 }, 1010);
    expect(session.pollTimeout()).toBe(31_000);
    session.stop();
    outputs();
    session.check(2000);
    expect([outputs(), session.pollTimeout()]).toEqual([[], undefined]);
  });

  it('makes a ping that is under way more urgent, not less, and a handshake too', () => {
    session.start();
    session.opened(0);
    session.check(1000);
    expect(session.pollTimeout()).toBe(6000);
    hear(hello, 2000);
    hear(authOk, 2000);
    session.handleTimeout(32_000);
    session.check(40_000);
    expect(session.pollTimeout()).toBe(42_000);
  });
});

describe('hurry', () => {
  const unreachable = new UnderpassError('server_unreachable', { host: 'x', problem: 'y' });

  /** The pauses before so many attempts. */
  function pauses(attempts: number): number[] {
    return Array.from({ length: attempts }, () => {
      session.failed(unreachable, 0);
      const offline = outputs().at(-1);
      session.handleTimeout(session.pollTimeout() ?? Number.NaN);
      return offline?.type === 'offline' ? offline.retry_in_ms : Number.NaN;
    });
  }

  it('keeps pauses at 5 s or less, for as long as it lasts', () => {
    session.start();
    session.hurry(true, 0);
    expect(pauses(8)).toEqual([250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
    session.hurry(false, 0);
    expect(pauses(1)).toEqual([15_000]);
  });

  it('shortens a pause that has begun, unless the server asked for it', () => {
    session.start();
    pauses(7);
    session.failed(unreachable, 0);
    expect(session.pollTimeout()).toBe(15_000);
    session.hurry(true, 1000);
    expect(session.pollTimeout()).toBe(6000);
    session.hurry(true, 5000);
    expect(session.pollTimeout()).toBe(6000);
    session.handleTimeout(6000);
    session.failed(new UnderpassError('server_full'), 6000);
    session.hurry(true, 6000);
    expect(session.pollTimeout()).toBe(21_000);
  });
});

describe('requests', () => {
  it('fail at once while offline', () => {
    session.request({ type: 'open_data' }, 0);
    expect(outputs()).toMatchObject([{ type: 'failed', error: { code: 'server_lost' } }]);
  });

  it('are answered once, by their id', () => {
    goOnline();
    const request = session.request({ type: 'open_data' }, 0);
    const other = session.request({ type: 'open_data' }, 0);
    expect(sent().map(({ request_id }) => request_id)).toEqual([request, other]);
    const ready: ServerMessage = { type: 'data_ready', request_id: other, session_id: '0'.repeat(32) };
    hear(ready);
    hear(ready);
    expect(outputs()).toEqual([{ type: 'response', request: other, response: ready }]);
  });

  it('time out, and the link that could still come of it is closed', () => {
    goOnline();
    session.request({ type: 'open_data' }, 0);
    session.request({ ...connect, wait: false }, 0);
    outputs();
    session.handleTimeout(10_000);
    expect(outputs()).toMatchObject([{ type: 'failed', error: { code: 'heartbeat_timeout' } }]);
    session.handleTimeout(15_000);
    const all = outputs();
    expect(all.at(-1)).toMatchObject({ type: 'failed', error: { code: 'peer_timeout' } });
    expect(all[0]).toEqual({ type: 'send', text: JSON.stringify({ type: 'p2p_close', link: connect.link }) });
  });

  it('wait without limit once the server says so', () => {
    goOnline();
    const request = session.request(connect, 0);
    hear({ type: 'p2p_waiting', request_id: request });
    expect(outputs().at(-1)).toEqual({ type: 'waiting', request });
    session.handleTimeout(29_999);
    expect(outputs()).toEqual([]);
  });

  it('carry the name into the error', () => {
    goOnline();
    const request = session.request(connect, 0);
    hear({ type: 'error', request_id: request, code: 'tunnel_not_found', message: 'x' });
    const failed = outputs().at(-1);
    expect(failed?.type === 'failed' && failed.error.message).toBe("P2P tunnel 'game' not found");
  });

  it('must be answered by what belongs to them', () => {
    goOnline();
    const request = session.request(connect, 0);
    const answer = {
      type: 'p2p_answer',
      request_id: request,
      answer: 'AA',
      mac: b64u(32),
      direct: false,
    } as const;
    hear({ ...answer, link: b64u(16, 2) });
    expect(outputs().at(-1)).toMatchObject({ type: 'offline', error: { code: 'protocol_error' } });
  });

  it('fail when the connection is lost; their links are closed when it is back', () => {
    goOnline();
    session.request(connect, 0);
    outputs();
    session.closed(1006, 5);
    expect(outputs().map(({ type }) => type)).toEqual(['disconnect', 'failed', 'offline']);
    session.notify({ type: 'unregister', name: 'game' });
    session.handleTimeout(1000);
    session.opened(1000);
    hear(hello, 1000);
    expect(sent()[0]).toMatchObject({ type: 'auth', resume: b64u(16, 5) });
    hear({ ...authOk, resumed: true }, 1000);
    expect(sent()).toEqual([
      { type: 'p2p_close', link: connect.link },
      { type: 'unregister', name: 'game' },
    ]);
  });

  it('of a session that is gone are not repeated', () => {
    goOnline();
    session.closed(1006, 5);
    session.notify({ type: 'unregister', name: 'game' });
    session.handleTimeout(1000);
    session.opened(1000);
    hear(hello, 1000);
    outputs();
    hear(authOk, 1000);
    expect(sent()).toEqual([]);
  });
});

it('tells why the server closed', () => {
  goOnline();
  hear({ type: 'error', code: 'protocol_error', message: 'bad' });
  session.closed(4000, 0);
  expect(outputs().at(-1)).toMatchObject({ type: 'offline', error: { code: 'protocol_error' } });
  session.handleTimeout(1000);
  session.opened(1000);
  hear(hello, 1000);
  expect(sent()[0]).not.toHaveProperty('resume');
  session.closed(1012, 1000);
  expect(outputs().at(-1)).toMatchObject({ type: 'offline', error: { code: 'server_restarting' } });
});

it('stops for good', () => {
  goOnline();
  session.request(connect, 0);
  outputs();
  session.stop();
  expect(outputs()).toMatchObject([{ type: 'disconnect', code: 1000 }, { type: 'failed' }]);
  hear(hello);
  session.closed(1000, 0);
  expect(outputs()).toEqual([]);
  expect(session.pollTimeout()).toBeUndefined();
});

it.each([1, 2, 3])('survives a server that says anything (seed %d)', (seed) => {
  const random = new Random(seed);
  const link = b64u(16, 1);
  const mac = b64u(32);
  session.start();
  for (let step = 0, now = 0; step < 3000; step++, now += random.integer(2000)) {
    const request_id = `r${random.integer(step + 1)}`;
    const message = random.pick<ServerMessage>([
      hello,
      authOk,
      { ...authOk, resumed: true },
      { type: 'pong', timestamp: 0 },
      { type: 'error', request_id, code: 'peer_timeout', message: '' },
      { type: 'p2p_close', link, code: 'peer_lost' },
      { type: 'p2p_answer', request_id, link, answer: 'AA', mac, direct: true },
      { type: 'p2p_waiting', request_id },
      { type: 'replaced', name: 'x' },
    ]);
    const text = encode(message);
    if (random.integer(3) === 0) session.opened(now);
    session.receive(random.integer(8) === 0 ? text.slice(0, random.integer(text.length)) : text, now);
    if (random.integer(4) === 0) session.request(connect, now);
    session.handleTimeout(now);
    for (const output of outputs()) {
      if (output.type === 'offline')
        expect(output.error, `seed ${seed}, step ${step}`).toBeInstanceOf(UnderpassError);
      expect(output.type, `seed ${seed}, step ${step}`).not.toBe('fatal');
    }
    const next = session.pollTimeout();
    if (next !== undefined) expect(next, `seed ${seed}, step ${step}`).toBeGreaterThan(now);
  }
});

describe('STUN and the NAT', () => {
  const stun = { addresses: ['192.0.2.1'], ports: [3478, 3479] };

  it('hands on what the greeting says of STUN, of each connection anew', () => {
    session.start();
    session.opened(0);
    hear({ ...hello, stun });
    hear(authOk);
    expect(outputs().at(-1)).toEqual({ type: 'online', resumed: false, limits, stun });
    session.closed(1006, 0);
    session.handleTimeout(session.pollTimeout() ?? 0);
    session.opened(1000);
    hear(hello, 1000);
    hear({ ...authOk, resumed: true }, 1000);
    expect(outputs().at(-1)).toEqual({ type: 'online', resumed: true, limits, stun: undefined });
  });

  it('reports a verdict at once, and keeps none for later', () => {
    session.reportNat(coneVerdict, true);
    expect(outputs()).toEqual([]);
    goOnline();
    session.reportNat(coneVerdict, true);
    expect(sent()).toEqual([{ type: 'nat', nat: coneVerdict, lan: true }]);
    session.closed(1006, 0);
    session.reportNat(coneVerdict, true);
    session.handleTimeout(session.pollTimeout() ?? 0);
    session.opened(1000);
    hear(hello, 1000);
    hear({ ...authOk, resumed: true }, 1000);
    expect(sent().map(({ type }) => type)).toEqual(['auth']);
  });
});

describe('the search for a direct path', () => {
  const link = b64u(16, 3);
  const plan = { strategies: ['host', 'direct'], tries: 1 };
  const told: ServerMessage[] = [
    { type: 'p2p_step', link, search: 1, step: 1, attempt: 1, plan },
    { type: 'p2p_message', link, body: 'AAAA', mac: b64u(32) },
    { type: 'p2p_go', link, step: 1 },
    { type: 'p2p_relay', link, search: 1, reason: 'exhausted' },
  ];

  it.each(told)('is handed on: $type', (message) => {
    goOnline();
    hear(message);
    expect(outputs()).toEqual([{ type: 'punch', message }]);
  });

  it.each(told)('has no place before auth_ok: $type', (message) => {
    session.start();
    session.opened(0);
    hear(hello);
    outputs();
    hear(message);
    expect(outputs()).toMatchObject([
      { type: 'disconnect' },
      { type: 'offline', error: { code: 'protocol_error' } },
    ]);
  });

  it('goes on after the session has resumed', () => {
    goOnline();
    session.closed(1006, 0);
    session.notify({ type: 'p2p_result', link, step: 1, result: 'direct' });
    session.handleTimeout(session.pollTimeout() ?? 0);
    session.opened(1000);
    hear(hello, 1000);
    outputs();
    hear({ ...authOk, resumed: true }, 1000);
    expect(sent()).toEqual([{ type: 'p2p_result', link, step: 1, result: 'direct' }]);
  });
});
