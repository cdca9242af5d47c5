import { KeyObject, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import { sha256 } from './identity.ts';

/** A self-signed P-256 certificate with its key, both PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
  /** SHA-256 of the DER, 32 bytes: what pins compare. */
  readonly fingerprint: Buffer;
}

const DAY = 24 * 60 * 60 * 1000;
const YEAR = 365 * DAY;
const LINK_LIFETIME = 5 * YEAR;
const SERVER_LIFETIME = 10 * YEAR;

/** A certificate for one link. It is pinned, so its names and dates only have to satisfy a TLS library. */
export function createLinkCertificate(): Promise<Certificate> {
  return createCertificate([], LINK_LIFETIME);
}

/** A server's own certificate, for 10 years. `hosts` are the DNS names and addresses it is valid for. */
export function createServerCertificate(hosts: readonly string[]): Promise<Certificate> {
  return createCertificate(hosts, SERVER_LIFETIME);
}

/** SHA-256 of a certificate's DER. */
export function fingerprintOf(der: Buffer): Buffer {
  return sha256(der);
}

/** A fingerprint for people, as openssl and browsers show it: `AB:CD:…`. */
export function formatFingerprint(fingerprint: Buffer): string {
  return fingerprint
    .toString('hex')
    .toUpperCase()
    .replace(/(..)(?=.)/g, '$1:');
}

/** Reads 64 hex digits; colons, case and a leading `sha256:` do not matter. Undefined when malformed. */
export function parseFingerprint(text: string): Buffer | undefined {
  const digits = text
    .trim()
    .replace(/^sha256:/i, '')
    .replaceAll(':', '');
  return /^[0-9a-f]{64}$/i.test(digits) ? Buffer.from(digits, 'hex') : undefined;
}

async function createCertificate(hosts: readonly string[], lifetime: number): Promise<Certificate> {
  // Loading the library takes 100 ms, and it wants the polyfill before it.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ]);
  const names = hosts.map((host) => ({ type: isIP(host) ? 'ip' : 'dns', value: host }) as const);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=underpass',
    // A day of grace for clocks that are behind.
    notBefore: new Date(Date.now() - DAY),
    notAfter: new Date(Date.now() + lifetime),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    keys,
    extensions: names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : [],
  });
  return {
    cert: certificate.toString('pem'),
    key: KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString(),
    fingerprint: fingerprintOf(Buffer.from(certificate.rawData)),
  };
}
