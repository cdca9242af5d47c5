import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { mac } from '../../src/identity.ts';
import {
  MAX_BODY_BYTES,
  MAX_CANDIDATES,
  type PeerBody,
  type PeerCandidate,
  PeerMessages,
  type SealedMessage,
} from '../../src/signaling/peer-message.ts';
import { thrownBy } from '../support/errors.ts';
import type { Random } from '../support/random.ts';
import { forSeeds, mutate } from '../support/seeds.ts';

// The vectors were made by an independent program (Python's hmac and hashlib), not by this code.
const vector = z.object({
  sender: z.enum(['subscriber', 'publisher']),
  key: z.string(),
  body: z.string(),
  mac: z.string(),
});
const { link, messages } = z
  .object({ link: z.object({ K_peer: z.string() }), messages: z.array(vector).length(2) })
  .parse(vectorsOfProtocol());

function vectorsOfProtocol(): unknown {
  const protocol = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
  const section = protocol.split('\n## 10 Test vectors\n')[1] ?? '';
  return JSON.parse(/```json\n(.*?)```/s.exec(section)?.[1] ?? '');
}

const filled = (size: number, fill: number) => Buffer.alloc(size, fill);
const transcript = {
  link: filled(16, 0x22),
  offerNonce: filled(32, 0x33),
  answerNonce: filled(32, 0x55),
  offerFingerprint: filled(32, 0x44),
  answerFingerprint: filled(32, 0x66),
};
const common = { peerKey: Buffer.from(link.K_peer, 'hex'), transcript, name: 'game' };
const pair = () => ({
  subscriber: new PeerMessages({ ...common, role: 'subscriber' }),
  publisher: new PeerMessages({ ...common, role: 'publisher' }),
});

const host: PeerCandidate = { kind: 'host', address: '192.168.1.5', port: 40000 };
const told: PeerBody = { kind: 'candidates', candidates: [host, { ...host, kind: 'mapped', port: 1 }] };
const foreseen: PeerBody = {
  kind: 'prediction',
  step: 3,
  prediction: { address: '203.0.113.7', ports: [40002, 40001], strategy: 'bracket' },
};
const anywhere: PeerBody = {
  kind: 'prediction',
  step: 4,
  prediction: { address: '203.0.113.7', first: 1024, last: 65535 },
};

/** What a peer that knows the secret, and writes what it likes, would send. */
function sealed(content: unknown): SealedMessage {
  const body = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  const key = Buffer.from(messages[0]?.key ?? '', 'hex');
  return { body, mac: mac(key, 'underpass/1 message', Buffer.from('subscriber'), body) };
}

describe('messages between peers', () => {
  it('arrive as they were, in either direction', () => {
    const { subscriber, publisher } = pair();
    for (const body of [told, foreseen, anywhere]) {
      expect(publisher.open(subscriber.seal(body))).toEqual(body);
      expect(subscriber.open(publisher.seal(body))).toEqual(body);
    }
  });

  it.each(messages)('are those of the specification, from the $sender', ({ sender, key, body, mac: tag }) => {
    const bytes = Buffer.from(body);
    expect(mac(Buffer.from(key, 'hex'), 'underpass/1 message', Buffer.from(sender), bytes)).toEqual(
      Buffer.from(tag, 'base64url'),
    );
    const { number, ...content } = JSON.parse(body);
    const sent = pair()[sender].seal(content);
    expect(sent).toEqual({ body: bytes, mac: Buffer.from(tag, 'base64url') });
    expect(number).toBe(1);
    const receiver = sender === 'subscriber' ? 'publisher' : 'subscriber';
    expect(pair()[receiver].open(sent)).toEqual(content);
  });

  it('are refused when they come twice or late, and taken when some were lost', () => {
    const { subscriber, publisher } = pair();
    const [first, second, third] = [told, foreseen, anywhere].map((body) => subscriber.seal(body)) as [
      SealedMessage,
      SealedMessage,
      SealedMessage,
    ];
    expect(publisher.open(second)).toEqual(foreseen);
    for (const again of [first, second]) {
      expect(thrownBy(() => publisher.open(again)).code).toBe('peer_unverified');
    }
    expect(publisher.open(third)).toEqual(anywhere);
  });

  it('are refused by their sender, and on any other link', () => {
    const { subscriber, publisher } = pair();
    expect(thrownBy(() => subscriber.open(subscriber.seal(told))).code).toBe('peer_unverified');
    for (const field of Object.keys(transcript) as (keyof typeof transcript)[]) {
      const other = Buffer.from(transcript[field]);
      other[0] = 0;
      const options = { ...common, transcript: { ...transcript, [field]: other } };
      const stranger = new PeerMessages({ ...options, role: 'publisher' });
      expect(thrownBy(() => stranger.open(subscriber.seal(told))).code, field).toBe('peer_unverified');
    }
    const guesser = new PeerMessages({ ...common, peerKey: filled(32, 8), role: 'subscriber' });
    const error = thrownBy(() => publisher.open(guesser.seal(told)));
    expect(error.code).toBe('peer_unverified');
    expect(error.message).toContain("'game'");
  });

  it('are refused when a single bit has changed, and do no harm', () => {
    const { subscriber, publisher } = pair();
    const honest = subscriber.seal(told);
    for (let bit = 0; bit < honest.body.length * 8; bit++) {
      const body = Buffer.from(honest.body);
      body[bit >> 3] = (body[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(thrownBy(() => publisher.open({ ...honest, body })).code).toBe('peer_unverified');
    }
    const short = { ...honest, mac: honest.mac.subarray(0, 31) };
    expect(thrownBy(() => publisher.open(short)).code).toBe('peer_unverified');
    expect(publisher.open(honest)).toEqual(told);
  });

  it('fit their size, however long the addresses are, and any number of addresses fits them', () => {
    const { subscriber, publisher } = pair();
    const address = (i: number) => `2001:db80:1234:5678:9abc:def0:1234:${(0x1000 + i).toString(16)}`;
    const all = Array.from({ length: 2 * MAX_CANDIDATES + 1 }, (_, i): PeerCandidate => {
      return { kind: 'server-reflexive', address: address(i), port: 65535 };
    });
    const sent = subscriber.sealCandidates(all);
    expect(sent).toHaveLength(3);
    expect(subscriber.sealCandidates([])).toEqual([]);
    for (const { body } of sent) expect(body.length).toBeLessThanOrEqual(MAX_BODY_BYTES - 20);
    const arrived = sent.flatMap((message) => {
      const body = publisher.open(message);
      return body?.kind === 'candidates' ? body.candidates : [];
    });
    expect(arrived).toEqual(all);
  });
});

describe('a peer that knows the secret', () => {
  const open = (content: unknown) => pair().publisher.open(sealed(content));

  it('may be newer, and say what we do not know', () => {
    const { publisher } = pair();
    expect(publisher.open(sealed({ number: 5, kind: 'weather', sun: true }))).toBeUndefined();
    // It counts as heard.
    expect(thrownBy(() => publisher.open(sealed({ number: 5, ...told }))).code).toBe('peer_unverified');
    expect(open({ number: 6, ...told, more: 1 })).toEqual(told);
  });

  const prediction = foreseen.kind === 'prediction' ? foreseen.prediction : {};
  it.each([
    ['no JSON', Buffer.from('{')],
    ['no UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['null', null],
    ['no number', told],
    ['number 0', { number: 0, ...told }],
    ['a broken number', { number: 1.5, ...told }],
    ['a number beyond reason', { number: 2 ** 60, ...told }],
    ['no candidates', { number: 1, kind: 'candidates', candidates: [] }],
    ['nine candidates', { number: 1, kind: 'candidates', candidates: Array(9).fill(host) }],
    ['a host name', { number: 1, kind: 'candidates', candidates: [{ ...host, address: 'example.org' }] }],
    ['a zone', { number: 1, kind: 'candidates', candidates: [{ ...host, address: 'fe80::1%eth0' }] }],
    ['port 0', { number: 1, kind: 'candidates', candidates: [{ ...host, port: 0 }] }],
    ['port 65536', { number: 1, kind: 'candidates', candidates: [{ ...host, port: 65536 }] }],
    ['another kind', { number: 1, kind: 'candidates', candidates: [{ ...host, kind: 'predicted' }] }],
    ['no step', { number: 1, kind: 'prediction', prediction }],
    ['no ports', { number: 1, ...foreseen, prediction: { ...prediction, ports: [] } }],
    ['17 ports', { number: 1, ...foreseen, prediction: { ...prediction, ports: Array(17).fill(4000) } }],
    ['a strategy', { number: 1, ...foreseen, prediction: { ...prediction, strategy: 'birthday' } }],
    ['a range', { number: 1, ...foreseen, prediction: { address: '192.0.2.1', first: 9, last: 8 } }],
  ])('makes no sense with %s', (_, content) => {
    expect(thrownBy(() => open(content)).code).toBe('protocol_error');
  });

  it('cannot send more than a message holds', () => {
    const padded = { number: 1, kind: 'weather', padding: 'x'.repeat(MAX_BODY_BYTES) };
    expect(thrownBy(() => open(padded)).code).toBe('peer_unverified');
  });

  it('gets a sound answer to any bytes', () => {
    let understood = 0;
    forSeeds(1000, (random: Random) => {
      const bodies = [told, foreseen, anywhere].map((body) => JSON.stringify({ number: 1, ...body }));
      const bytes = mutate(Buffer.from(random.pick(bodies as [string, ...string[]])), random);
      try {
        const body = open(bytes);
        if (body?.kind === 'candidates') {
          expect(body.candidates.length).toBeLessThanOrEqual(MAX_CANDIDATES);
          for (const { port } of body.candidates) expect(port).toBeGreaterThan(0);
        }
        understood++;
      } catch (error) {
        expect(error).toMatchObject({ code: expect.stringMatching(/^(protocol_error|peer_unverified)$/) });
      }
    });
    expect(understood).toBeGreaterThan(10);
  });
});
