import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { deriveTunnelKey, mac, peerKey, secretHash, verifySignature } from '../src/identity.ts';
import { createAnswer, createOffer, verifyAnswer, verifyOffer } from '../src/signaling/offer.ts';
import { identityOf } from './support/identity.ts';

// The vectors were made by an independent program (Python's hashlib and cryptography), not by this code.

const hex = z.string().transform((text) => Buffer.from(text, 'hex'));
const b64u = z.string().transform((text) => Buffer.from(text, 'base64url'));
const utf8 = z.string().transform((text) => Buffer.from(text, 'utf8'));
const side = z.object({ seed: hex, nonce: b64u, fingerprint: hex });
const vectors = z
  .object({
    keys: z
      .array(z.object({ secret: z.string(), name: z.string(), K: hex, secret_hash: z.string(), K_peer: hex }))
      .min(2),
    mac: z.object({ key: hex, label: z.string(), parts: z.array(hex), encoded: hex, mac: hex }),
    auth: z.object({ seed: hex, identity: b64u, challenge: b64u, signature: b64u }),
    link: z.object({
      K_peer: hex,
      link: b64u,
      subscriber: side,
      publisher: side,
      offer: utf8,
      offer_mac: b64u,
      answer: utf8,
      answer_mac: b64u,
      resuming_offer: utf8,
      resuming_offer_mac: b64u,
    }),
  })
  .parse(JSON.parse(vectorsOfProtocol()));

function vectorsOfProtocol(): string {
  const protocol = readFileSync(new URL('../docs/protocol.md', import.meta.url), 'utf8');
  const section = protocol.split('\n## 10 Test vectors\n')[1] ?? '';
  return /```json\n(.*?)```/s.exec(section)?.[1] ?? '';
}

it.each(vectors.keys)('derives K, the hash and K_peer of %#', async (vector) => {
  const key = await deriveTunnelKey(vector.secret, vector.name);
  expect(key).toEqual(vector.K);
  expect(secretHash(key)).toBe(vector.secret_hash);
  expect(peerKey(key)).toEqual(vector.K_peer);
});

it('has a secret that NFC changes', () => {
  expect(vectors.keys.some(({ secret }) => secret !== secret.normalize('NFC'))).toBe(true);
});

it('encodes what a MAC covers', () => {
  const { key, label, parts, encoded, mac: expected } = vectors.mac;
  expect(createHmac('sha256', key).update(encoded).digest()).toEqual(expected);
  expect(mac(key, label, ...parts)).toEqual(expected);
});

it('signs a challenge', () => {
  const { seed, identity, challenge, signature } = vectors.auth;
  expect(identityOf(seed).publicKey).toEqual(identity);
  expect(identityOf(seed).sign('underpass/1 auth', challenge)).toEqual(signature);
  expect(verifySignature(identity, signature, 'underpass/1 auth', challenge)).toBe(true);
});

it('makes and accepts the offer and the answer', () => {
  const { K_peer, link, subscriber, publisher, ...sent } = vectors.link;
  expect(K_peer).toEqual(vectors.keys[0]?.K_peer);
  const common = { peerKey: K_peer, link, name: 'my-game' };
  const made = createOffer({
    ...common,
    ...subscriber,
    identity: identityOf(subscriber.seed),
    mode: 'auto',
    capabilities: [],
    keyId: 0,
  });
  expect(made.offer.toString()).toBe(sent.offer.toString());
  expect(made.mac).toEqual(sent.offer_mac);

  const offer = verifyOffer({ ...common, offer: sent.offer, mac: sent.offer_mac });
  expect(offer.nonce).toEqual(subscriber.nonce);
  const answered = createAnswer({
    ...common,
    ...publisher,
    identity: identityOf(publisher.seed),
    mode: 'auto',
    capabilities: [],
    ports: [
      { port: 25565, protocol: 'tcp+udp' },
      { port: 27015, count: 6, protocol: 'udp' },
    ],
    offer,
  });
  expect(answered.answer.toString()).toBe(sent.answer.toString());
  expect(answered.mac).toEqual(sent.answer_mac);

  const answer = verifyAnswer({ ...common, offer: sent.offer, answer: sent.answer, mac: sent.answer_mac });
  expect(answer.fingerprint).toEqual(publisher.fingerprint);
});

it('makes and accepts an offer to carry a link on', () => {
  const { K_peer, link, subscriber, resuming_offer, resuming_offer_mac } = vectors.link;
  const common = { peerKey: K_peer, link, name: 'my-game' };
  const own = { ...common, ...subscriber, identity: identityOf(subscriber.seed) };
  const resumes = Buffer.alloc(16, 0x77);
  const made = createOffer({ ...own, mode: 'auto', capabilities: [], keyId: 0, resumes });
  expect(made.offer.toString()).toBe(resuming_offer.toString());
  expect(made.mac).toEqual(resuming_offer_mac);
  expect(verifyOffer({ ...common, offer: resuming_offer, mac: resuming_offer_mac }).resumes).toEqual(resumes);
});
