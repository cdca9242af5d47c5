import { Identity } from '../../src/identity.ts';

const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The identity of a 32-byte Ed25519 seed (RFC 8032), always the same. */
export function identityOf(seed: Buffer): Identity {
  const der = Buffer.concat([PKCS8_PREFIX, seed]).toString('base64');
  const identity = Identity.fromPem(`-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`);
  if (!identity) throw new Error('not a seed');
  return identity;
}
