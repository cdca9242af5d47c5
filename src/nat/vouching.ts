import { PROOF_SIZE, type SourceClaim } from './source-proofs.ts';
import { ATTRIBUTE } from './stun.ts';
import { mappedAddress } from './stun-address.ts';
import type { StunAnswer } from './transactions.ts';

type Attribute = readonly [type: number, value: Buffer];

/**
 * Makes a question no smaller than the largest answer (RFC 8489 attributes with IPv6 addresses): answers that come from elsewhere, or
 * with a proof, would be worth reflecting otherwise. PADDING (RFC 5780) would be copied into the answer; SOFTWARE is not.
 */
export const SOFTWARE: Attribute = [ATTRIBUTE.software, Buffer.from('underpass'.padEnd(72))];

/** What a request for a proof holds. */
export function vouchingAttributes(voucher: Buffer): readonly Attribute[] {
  return [[ATTRIBUTE.voucher, voucher], SOFTWARE];
}

/** What a server that was shown the voucher says of us; undefined where it says nothing. */
export function claimOf(voucher: Buffer, answer: StunAnswer | undefined): SourceClaim | undefined {
  if (answer?.message.class !== 'success') return undefined;
  const proof = answer.message.attributes.get(ATTRIBUTE.proof);
  const mapped = mappedAddress(answer.message);
  return mapped && proof?.length === PROOF_SIZE ? { voucher, address: mapped.address, proof } : undefined;
}
