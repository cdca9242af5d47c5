import { describe, expect, it } from 'vitest';
import { mac, sha256 } from '../../src/identity.ts';
import {
  createAnswer,
  createOffer,
  MAX_OFFER_BYTES,
  verifyAnswer,
  verifyOffer,
} from '../../src/signaling/offer.ts';
import { thrownBy } from '../support/errors.ts';
import { identityOf } from '../support/identity.ts';
import { Random } from '../support/random.ts';

const random = new Random(1);
const peerKey = random.bytes(32);
const link = random.bytes(16);
const common = { peerKey, link, name: 'my-game' };
const subscriber = {
  ...common,
  mode: 'auto' as const,
  capabilities: ['direct'] as const,
  nonce: random.bytes(32),
  fingerprint: random.bytes(32),
  identity: identityOf(random.bytes(32)),
};
const publisher = {
  ...common,
  mode: 'relay' as const,
  capabilities: [],
  nonce: random.bytes(32),
  fingerprint: random.bytes(32),
  identity: identityOf(random.bytes(32)),
};

const offered = createOffer({ ...subscriber, keyId: 3 });
const offer = verifyOffer({ ...common, ...offered });
const ports = [
  { port: 27015, protocol: 'tcp' as const },
  { port: 30000, count: 10, protocol: 'udp' as const },
];
const answered = createAnswer({ ...publisher, ports, offer });

/** An offer of a peer that knows the secret but writes what it likes. */
function sealed(content: unknown) {
  const bytes = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  return {
    ...common,
    offer: bytes,
    mac: mac(peerKey, 'underpass/1 offer', Buffer.from('subscriber'), link, bytes),
  };
}
/** An answer of such a peer. */
function sealedAnswer(content: unknown) {
  const answer = Buffer.from(JSON.stringify(content));
  const tag = mac(peerKey, 'underpass/1 answer', Buffer.from('publisher'), sha256(offered.offer), answer);
  return { ...common, offer: offered.offer, answer, mac: tag };
}
const honest: Record<string, unknown> = JSON.parse(offered.offer.toString());
const honestAnswer: Record<string, unknown> = JSON.parse(answered.answer.toString());

/** Every way to change one byte, cut, or lengthen it that a network could think of. */
function* mutations(bytes: Buffer): Generator<Buffer> {
  for (let i = 0; i < bytes.length; i++) {
    const changed = Buffer.from(bytes);
    changed[i] = (bytes[i] ?? 0) ^ (1 + random.integer(255));
    yield changed;
    yield bytes.subarray(0, i);
    yield Buffer.concat([bytes.subarray(0, i), random.bytes(1), bytes.subarray(i)]);
  }
}

describe('an offer', () => {
  it('says who the subscriber is and what it wants', () => {
    expect(offer).toEqual({
      mode: 'auto',
      keyId: 3,
      capabilities: ['direct'],
      nonce: subscriber.nonce,
      fingerprint: subscriber.fingerprint,
      identity: subscriber.identity.publicKey,
      bytes: offered.offer,
    });
  });

  it('is refused when any of its bytes is changed', () => {
    for (const changed of mutations(offered.offer)) {
      expect(thrownBy(() => verifyOffer({ ...common, ...offered, offer: changed })).code).toBe(
        'peer_unverified',
      );
    }
  });

  it('is refused when any byte of its MAC is changed', () => {
    for (const changed of mutations(offered.mac)) {
      expect(thrownBy(() => verifyOffer({ ...common, ...offered, mac: changed })).code).toBe(
        'peer_unverified',
      );
    }
  });

  it('is refused on another link, under another key, and as an answer', () => {
    const other = (change: object) => thrownBy(() => verifyOffer({ ...common, ...offered, ...change })).code;
    expect(other({ link: random.bytes(16) })).toBe('peer_unverified');
    expect(other({ peerKey: random.bytes(32) })).toBe('peer_unverified');
    expect(other({ offer: answered.answer, mac: answered.mac })).toBe('peer_unverified');
    const reflected = { ...common, offer: offered.offer, answer: offered.offer, mac: offered.mac };
    expect(thrownBy(() => verifyAnswer(reflected)).code).toBe('peer_unverified');
  });

  it('says which link it carries on', () => {
    const resumes = random.bytes(16);
    const made = createOffer({ ...subscriber, keyId: 3, resumes });
    expect(verifyOffer({ ...common, ...made }).resumes).toEqual(resumes);
    expect(offer.resumes).toBeUndefined();
  });

  it('names the tunnel when it is refused', () => {
    expect(() => verifyOffer({ ...common, ...offered, link: Buffer.alloc(16) })).toThrow("'my-game'");
  });

  it('carries a signature of its own identity over its own link', () => {
    for (const changed of [
      { identity: publisher.identity.publicKey.toString('base64url') },
      { nonce: random.bytes(32).toString('base64url') },
      { fingerprint: random.bytes(32).toString('hex') },
      { signature: random.bytes(64).toString('base64url') },
    ]) {
      expect(thrownBy(() => verifyOffer(sealed({ ...honest, ...changed }))).code).toBe('peer_unverified');
    }
  });

  it('ignores fields it does not know', () => {
    expect(verifyOffer(sealed({ ...honest, later: { x: 1 } })).keyId).toBe(3);
  });

  it('of another version is unsupported, whatever else is in it', () => {
    expect(thrownBy(() => verifyOffer(sealed({ versions: [2, 3] }))).code).toBe('protocol_unsupported');
    expect(verifyOffer(sealed({ ...honest, versions: [1, 2] })).keyId).toBe(3);
  });

  it.each([
    Buffer.alloc(0),
    Buffer.from('{'),
    Buffer.from([0x22, 0xff, 0x22]),
    null,
    [],
    { ...honest, versions: 1 },
    { ...honest, mode: 'fast' },
    { ...honest, key_id: 256 },
    { ...honest, key_id: 0.5 },
    { ...honest, capabilities: [1] },
    { ...honest, nonce: 'AAAA' },
    { ...honest, nonce: `${'A'.repeat(42)}B` },
    { ...honest, nonce: '='.repeat(43) },
    { ...honest, resumes: 'AAAA' },
    { ...honest, resumes: random.bytes(17).toString('base64url') },
    { ...honest, identity: undefined },
    { ...honest, fingerprint: 'AB'.repeat(32) },
  ])('of a peer that makes no sense is a protocol error: %#', (content) => {
    expect(thrownBy(() => verifyOffer(sealed(content))).code).toBe('protocol_error');
  });

  it('has at most 4 KiB', () => {
    const padded = (size: number) => sealed(Buffer.from(offered.offer.toString().padEnd(size)));
    expect(verifyOffer(padded(MAX_OFFER_BYTES)).keyId).toBe(3);
    expect(thrownBy(() => verifyOffer(padded(MAX_OFFER_BYTES + 1))).code).toBe('peer_unverified');
  });
});

describe('an answer', () => {
  const received = { ...common, offer: offered.offer, ...answered };

  it('says who the publisher is', () => {
    expect(verifyAnswer(received)).toEqual({
      mode: 'relay',
      capabilities: [],
      nonce: publisher.nonce,
      fingerprint: publisher.fingerprint,
      identity: publisher.identity.publicKey,
      ports,
    });
  });

  it('is refused when any byte of it or of its MAC is changed', () => {
    for (const changed of mutations(answered.answer)) {
      expect(thrownBy(() => verifyAnswer({ ...received, answer: changed })).code).toBe('peer_unverified');
    }
    for (const changed of mutations(answered.mac)) {
      expect(thrownBy(() => verifyAnswer({ ...received, mac: changed })).code).toBe('peer_unverified');
    }
  });

  it('is refused for another offer, another link and another key', () => {
    const another = createOffer({ ...subscriber, nonce: random.bytes(32), keyId: 3 });
    expect(thrownBy(() => verifyAnswer({ ...received, offer: another.offer })).code).toBe('peer_unverified');
    expect(thrownBy(() => verifyAnswer({ ...received, link: random.bytes(16) })).code).toBe(
      'peer_unverified',
    );
    expect(thrownBy(() => verifyAnswer({ ...received, peerKey: random.bytes(32) })).code).toBe(
      'peer_unverified',
    );
  });

  it('of another version is unsupported', () => {
    const answer = Buffer.from('{"version":2}');
    const tag = mac(peerKey, 'underpass/1 answer', Buffer.from('publisher'), sha256(offered.offer), answer);
    expect(thrownBy(() => verifyAnswer({ ...received, answer, mac: tag })).code).toBe('protocol_unsupported');
  });

  it('has room for as many ports as there may be', () => {
    const many = Array.from({ length: 64 }, (_, i) => ({
      ...{ port: 65535 - 4 * i - 3, count: 4 },
      protocol: 'tcp+udp' as const,
    }));
    const made = createAnswer({ ...publisher, ports: many, offer });
    expect(made.answer.length).toBeLessThanOrEqual(MAX_OFFER_BYTES);
    expect(verifyAnswer({ ...received, ...made }).ports).toEqual(many);
  });

  it.each([
    undefined,
    [],
    {},
    [{ port: 0, protocol: 'tcp' }],
    [{ port: 65536, protocol: 'tcp' }],
    [{ port: 1.5, protocol: 'tcp' }],
    [{ port: 80 }],
    [{ port: 80, protocol: 'sctp' }],
    [{ port: 80, count: 0, protocol: 'tcp' }],
    [{ port: 80, count: 257, protocol: 'tcp' }],
    [{ port: 65535, count: 2, protocol: 'tcp' }],
    [
      { port: 80, protocol: 'tcp' },
      { port: 80, protocol: 'udp' },
    ],
    [
      { port: 80, count: 3, protocol: 'tcp' },
      { port: 82, protocol: 'udp' },
    ],
    [
      { port: 1000, count: 200, protocol: 'tcp' },
      { port: 2000, count: 57, protocol: 'tcp' },
    ],
    Array.from({ length: 65 }, (_, i) => ({ port: 1 + i, protocol: 'tcp' })),
  ])('with ports that make no sense is a protocol error: %#', (wrong) => {
    const answer = sealedAnswer({ ...honestAnswer, ports: wrong });
    expect(thrownBy(() => verifyAnswer(answer)).code).toBe('protocol_error');
  });
});
