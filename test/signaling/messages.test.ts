import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UnderpassError } from '../../src/errors.ts';
import {
  type ClientMessage,
  encode,
  parseClientMessage,
  parseServerMessage,
  type ServerMessage,
} from '../../src/signaling/messages.ts';
import { thrownBy } from '../support/errors.ts';
import { forSeeds, mutate } from '../support/seeds.ts';
import { coneVerdict } from '../support/verdict.ts';

const b64u = (size: number, fill = 7) => Buffer.alloc(size, fill).toString('base64url');
const hash = 'ab'.repeat(32);

const step = { strategies: ['host', 'a-way-of-the-future'], tries: 16 };

const fromClients: ClientMessage[] = [
  { type: 'auth', protocol: 1, client_version: '0.1.0', identity: b64u(32), signature: b64u(64) },
  {
    type: 'auth',
    protocol: 9,
    client_version: '',
    identity: b64u(32),
    signature: b64u(64),
    token: 't',
    resume: b64u(16),
  },
  { type: 'ping', timestamp: 1.5 },
  { type: 'register', request_id: 'a b', name: 'my-game', secrets: [{ key_id: 0, hash }] },
  { type: 'unregister', name: 'a.b_c-9' },
  {
    type: 'p2p_connect',
    request_id: 'r1',
    link: b64u(16),
    name: 'x',
    key_id: 255,
    hash,
    offer: b64u(4096),
    mac: b64u(32),
    wait: true,
  },
  { type: 'p2p_answer', link: b64u(16), answer: b64u(1), mac: b64u(32) },
  { type: 'p2p_refuse', link: b64u(16), code: 'peer_refused' },
  { type: 'p2p_close', link: b64u(16) },
  { type: 'p2p_close', link: b64u(16), code: 'peer_lost' },
  { type: 'open_data', request_id: 'r2' },
  { type: 'nat', nat: coneVerdict, lan: true },
  { type: 'p2p_message', link: b64u(16), body: b64u(1024), mac: b64u(32) },
  { type: 'p2p_armed', link: b64u(16), step: 1 },
  { type: 'p2p_result', link: b64u(16), step: 2, result: 'failed' },
  {
    type: 'p2p_result',
    link: b64u(16),
    step: 2,
    result: 'direct',
    strategy: 'birthday',
    milliseconds: 3_600_000,
  },
  { type: 'p2p_again', link: b64u(16), search: 0 },
  { type: 'p2p_bytes', link: b64u(16), received: 2 ** 40 },
];

const fromServers: ServerMessage[] = [
  { type: 'hello', protocol: [1, 2], server_version: '0.1.0', challenge: b64u(32) },
  {
    type: 'auth_ok',
    session: b64u(16),
    resumed: false,
    limits: { message_bytes: 1, frame_bytes: 1, streams_per_link: 1 },
  },
  { type: 'auth_error', code: 'auth_failed', message: 'no' },
  { type: 'pong', timestamp: 0 },
  { type: 'registered', request_id: 'r', name: 'x' },
  { type: 'replaced', name: 'x' },
  { type: 'p2p_waiting', request_id: 'r' },
  {
    type: 'p2p_offer',
    link: b64u(16),
    name: 'x',
    key_id: 0,
    offer: b64u(9),
    mac: b64u(32),
    peer_address: '::1',
    direct: true,
  },
  { type: 'p2p_answer', request_id: 'r', link: b64u(16), answer: b64u(9), mac: b64u(32), direct: false },
  { type: 'p2p_close', link: b64u(16), code: 'peer_lost' },
  { type: 'data_ready', request_id: 'r', session_id: '0f'.repeat(16) },
  { type: 'error', request_id: 'r', code: 'a_code_of_the_future', message: '' },
  { type: 'error', code: 'protocol_error', message: 'x' },
  { type: 'p2p_message', link: b64u(16), body: b64u(1), mac: b64u(32) },
  { type: 'p2p_step', link: b64u(16), search: 1, step: 2, attempt: 3, plan: step },
  { type: 'p2p_step', link: b64u(16), search: 1, step: 2, attempt: 3, plan: { ...step, hard: 'publisher' } },
  { type: 'p2p_go', link: b64u(16), step: 2 ** 31 },
  { type: 'p2p_relay', link: b64u(16), search: 1, reason: 'a-reason-of-the-future' },
];

describe('messages', () => {
  it.each(fromClients)('reads what a client encodes: $type', (message) => {
    expect(parseClientMessage(encode(message))).toEqual(message);
  });

  it.each(fromServers)('reads what a server encodes: $type', (message) => {
    expect(parseServerMessage(encode(message))).toEqual(message);
  });

  it('drops unknown fields', () => {
    const message = { type: 'ping', timestamp: 1, more: [1], __proto__: null };
    expect(parseClientMessage(JSON.stringify(message))).toEqual({ type: 'ping', timestamp: 1 });
  });

  const connect = fromClients[5];
  it.each([
    ['link', b64u(15)],
    ['link', b64u(17)],
    ['link', `${b64u(16).slice(0, -1)}x`],
    ['link', `${b64u(16)}==`],
    ['link', 5],
    ['offer', b64u(4097)],
    ['offer', ''],
    ['mac', b64u(31)],
    ['hash', hash.toUpperCase()],
    ['hash', hash.slice(1)],
    ['key_id', 256],
    ['key_id', -1],
    ['key_id', 0.5],
    ['name', 'Upper'],
    ['name', 'x'.repeat(65)],
    ['request_id', ''],
    ['request_id', 'x'.repeat(65)],
    ['request_id', 'é'],
    ['wait', 'yes'],
    ['wait', undefined],
    ['type', 'p2p_konnect'],
  ])('refuses a wrong %s: %s', (field, value) => {
    const error = thrownBy(() => parseClientMessage(JSON.stringify({ ...connect, [field]: value })));
    expect(error.code).toBe('protocol_error');
  });

  it.each([
    ['p2p_message', 'body', b64u(1025)],
    ['p2p_message', 'body', ''],
    ['p2p_message', 'body', '=='],
    ['p2p_message', 'mac', b64u(16)],
    ['p2p_message', 'link', b64u(17)],
    ['p2p_armed', 'step', -1],
    ['p2p_armed', 'step', 0.5],
    ['p2p_armed', 'step', 2 ** 31 + 1],
    ['p2p_armed', 'step', '1'],
    ['p2p_result', 'result', 'maybe'],
    ['p2p_result', 'step', undefined],
    ['p2p_result', 'strategy', 'x'.repeat(33)],
    ['p2p_result', 'strategy', 'no words'],
    ['p2p_result', 'milliseconds', 3_600_001],
    ['p2p_result', 'milliseconds', -1],
    ['p2p_again', 'search', null],
    ['p2p_bytes', 'received', -1],
    ['p2p_bytes', 'received', 2 ** 40 + 1],
    ['p2p_bytes', 'received', 1.5],
    ['nat', 'lan', 1],
    ['p2p_step', 'plan', { ...step, strategies: [] }],
    ['p2p_step', 'plan', { ...step, strategies: Array(17).fill('host') }],
    ['p2p_step', 'plan', { ...step, strategies: ['HOST'] }],
    ['p2p_step', 'plan', { ...step, hard: 'server' }],
    ['p2p_step', 'plan', { ...step, tries: 0 }],
    ['p2p_step', 'plan', { ...step, tries: 17 }],
    ['p2p_step', 'search', -1],
    ['p2p_go', 'step', Number.MAX_SAFE_INTEGER],
    ['p2p_relay', 'reason', 'A sentence.'],
  ])('refuses a %s with a wrong %s: %j', (type, field, value) => {
    const message = [...fromClients, ...fromServers].find((one) => one.type === type);
    const text = JSON.stringify({ ...message, [field]: value });
    for (const parse of [parseClientMessage, parseServerMessage]) {
      expect(thrownBy(() => parse(text)).code).toBe('protocol_error');
    }
  });

  it('answers mutated messages with messages of the same bounds, or a protocol_error', () => {
    const texts = [...fromClients, ...fromServers].map(encode) as [string, ...string[]];
    let read = 0;
    forSeeds(3000, (random) => {
      const text = mutate(Buffer.from(random.pick(texts)), random).toString();
      for (const parse of [parseClientMessage, parseServerMessage]) {
        try {
          const message = parse(text);
          read++;
          expect(parse(encode(message))).toEqual(message);
        } catch (error) {
          expect(error).toMatchObject({ code: 'protocol_error' });
        }
      }
    });
    expect(read).toBeGreaterThan(50);
  });

  it.each(['', 'null', '[]', '"x"', '{', '{"type":"hello"}', '[[[[[[[', '{"type":{"type":"ping"}}'])(
    'refuses %s',
    (text) => {
      expect(thrownBy(() => parseClientMessage(text)).code).toBe('protocol_error');
    },
  );

  it('takes 1 to 8 secrets, each key_id once', () => {
    const register = (ids: number[]) =>
      JSON.stringify({
        type: 'register',
        request_id: 'r',
        name: 'x',
        secrets: ids.map((key_id) => ({ key_id, hash })),
      });
    expect(() => parseClientMessage(register([1, 2, 3, 4, 5, 6, 7, 8]))).not.toThrow();
    for (const ids of [[], [1, 1], [1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
      expect(thrownBy(() => parseClientMessage(register(ids))).code).toBe('protocol_error');
    }
  });

  it('repeats no value in an error', () => {
    const text = encode({
      ...fromClients[1],
      token: 'hunter2'.repeat(1000),
      identity: 'hunter2',
    } as ClientMessage);
    const error = thrownBy(() => parseClientMessage(text));
    expect(error.message).toContain('identity');
    expect(error.message).not.toContain('hunter2');
  });

  it('answers any JSON with a message or a protocol_error', () => {
    const types = [...fromClients, ...fromServers].map(({ type }) => type);
    const object = fc.record({
      type: fc.constantFrom(...types),
      link: fc.anything(),
      request_id: fc.anything(),
    });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.string(),
          object.map((value) => JSON.stringify(value) ?? ''),
        ),
        (text) => {
          for (const parse of [parseClientMessage, parseServerMessage]) {
            try {
              parse(text);
            } catch (error) {
              expect(error).toBeInstanceOf(UnderpassError);
            }
          }
        },
      ),
    );
  });
});
