import { describe, expect, test } from 'vitest';
import { Responder } from '../../src/nat/responder.ts';
import { PROOF_SIZE, SourceProofs, VOUCHER_SIZE } from '../../src/nat/source-proofs.ts';
import { ATTRIBUTE, decodeStun, encodeStun } from '../../src/nat/stun.ts';
import { claimOf, vouchingAttributes } from '../../src/nat/vouching.ts';

const MINUTE = 60_000;
const FIRST = { address: 0, port: 0 };
const voucher = Buffer.alloc(VOUCHER_SIZE, 1);
const proofs = new SourceProofs(Buffer.alloc(32, 1));
const transactionId = Buffer.alloc(12, 3);
const address = '45.80.1.2';
const request = (attributes: Iterable<readonly [number, Buffer]>) =>
  encodeStun({ class: 'request', transactionId, attributes });

describe('a proof', () => {
  const proof = proofs.prove(voucher, address, 5 * MINUTE);
  const check = (changes: Partial<{ voucher: Buffer; address: string; proof: Buffer }>, now = 5 * MINUTE) =>
    proofs.check({ voucher, address, proof, ...changes }, now);

  test('counts for a quarter of an hour, and not before it was made', () => {
    expect(proof).toHaveLength(PROOF_SIZE);
    expect(check({})).toBe(20 * MINUTE);
    expect(check({}, 20 * MINUTE - 1)).toBe(20 * MINUTE);
    expect(check({}, 20 * MINUTE)).toBeUndefined();
    expect(check({}, 4 * MINUTE)).toBeUndefined();
  });

  test('counts for one voucher, one address and one server', () => {
    expect(check({ voucher: Buffer.alloc(VOUCHER_SIZE, 2) })).toBeUndefined();
    expect(check({ address: '45.80.1.3' })).toBeUndefined();
    expect(check({ address: '2a0e:a1::2' })).toBeUndefined();
    const other = new SourceProofs(Buffer.alloc(32, 2));
    expect(other.check({ voucher, address, proof }, 5 * MINUTE)).toBeUndefined();
  });

  test('with any bit changed, or of another length, counts for nothing', () => {
    for (let bit = 0; bit < 8 * PROOF_SIZE; bit++) {
      const changed = Buffer.from(proof);
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(check({ proof: changed }, 19 * MINUTE)).toBeUndefined();
    }
    for (const size of [0, 4, 15, 17]) expect(check({ proof: Buffer.alloc(size, proof) })).toBeUndefined();
  });
});

describe.each([
  ['IPv4', ['45.80.9.10', '45.80.9.11'], address],
  ['IPv6', ['2a0e:90::10', '2a0e:90::11'], '2a0e:a1::2'],
])('over %s', (_, addresses, source) => {
  const responder = new Responder({ addresses, ports: [3478, 3479] }, proofs);
  const from = { address: source, port: 5000 };
  const respond = (bytes: Buffer) => responder.respond(bytes, from, FIRST, 0)?.bytes;
  const answerTo = (bytes: Buffer) => {
    const message = decodeStun(respond(bytes) ?? Buffer.alloc(0));
    return message && { message, rtt: 1 };
  };

  test('whoever shows a voucher gets a proof, in an answer with all else that is no larger than the question', () => {
    const question = request(vouchingAttributes(voucher));
    const claim = claimOf(voucher, answerTo(question));
    expect(claim?.address).toBe(source);
    expect(claim && proofs.check(claim, 0)).toBe(15 * MINUTE);
    const { attributes } = answerTo(question)?.message ?? {};
    expect(attributes?.has(ATTRIBUTE.otherAddress)).toBe(true);
    expect(respond(question)?.length).toBeLessThanOrEqual(question.length);
  });

  test('no answer with a proof is larger than its question, however short that is', () => {
    for (let pad = 0; pad < 120; pad += 4) {
      const attributes = [
        [ATTRIBUTE.voucher, voucher] as const,
        [ATTRIBUTE.software, Buffer.alloc(pad)] as const,
      ];
      const question = request(attributes);
      expect(respond(question)?.length ?? 0).toBeLessThanOrEqual(question.length);
    }
  });

  test('who shows none, or what is none, is answered as ever', () => {
    for (const attributes of [[], [[ATTRIBUTE.voucher, Buffer.alloc(15)] as const]]) {
      const answer = answerTo(request(attributes));
      expect(answer?.message.attributes.has(ATTRIBUTE.otherAddress)).toBe(true);
      expect(answer?.message.attributes.has(ATTRIBUTE.proof)).toBe(false);
    }
    const plain = new Responder({ addresses, ports: [3478, 3479] });
    const answer = plain.respond(request(vouchingAttributes(voucher)), from, FIRST, 0);
    expect(decodeStun(answer?.bytes ?? Buffer.alloc(0))?.attributes.has(ATTRIBUTE.proof)).toBe(false);
  });

  test('mutated questions never get a proof for somebody else', () => {
    const question = request(vouchingAttributes(voucher));
    for (let at = 0; at < question.length; at++) {
      for (const mask of [1, 0x80, 0xff]) {
        const changed = Buffer.from(question);
        changed.writeUInt8(changed.readUInt8(at) ^ mask, at);
        const answer = respond(changed);
        expect(answer?.length ?? 0).toBeLessThanOrEqual(question.length);
        const claim = answer && claimOf(voucher, answerTo(changed));
        // FINGERPRINT has caught it, or the change was in what does not count.
        if (claim) expect(claim.address).toBe(source);
      }
    }
  });
});
