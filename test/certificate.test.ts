import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { describe, expect, it } from 'vitest';
import {
  createLinkCertificate,
  createServerCertificate,
  fingerprintOf,
  formatFingerprint,
  parseFingerprint,
} from '../src/certificate.ts';

const YEAR = 365 * 24 * 60 * 60 * 1000;

describe('a link certificate', () => {
  it('is a fresh P-256 certificate with its key', async () => {
    const [one, two] = await Promise.all([createLinkCertificate(), createLinkCertificate()]);
    const certificate = new X509Certificate(one.cert);
    expect(certificate.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });
    expect(certificate.checkPrivateKey(createPrivateKey(one.key))).toBe(true);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(fingerprintOf(certificate.raw)).toEqual(one.fingerprint);
    expect(two.fingerprint).not.toEqual(one.fingerprint);
  });

  it('is valid from yesterday', async () => {
    const { validFrom, validTo } = new X509Certificate((await createLinkCertificate()).cert);
    expect(Date.parse(validFrom)).toBeLessThan(Date.now() - YEAR / 366);
    expect(Date.parse(validTo)).toBeGreaterThan(Date.now() + YEAR);
  });
});

describe('a server certificate', () => {
  it('is valid for its hosts, for ten years', async () => {
    const { cert } = await createServerCertificate(['relay.example', '192.0.2.1', '2001:db8::1']);
    const certificate = new X509Certificate(cert);
    expect(certificate.checkHost('relay.example')).toBe('relay.example');
    expect(certificate.checkIP('192.0.2.1')).toBe('192.0.2.1');
    expect(certificate.checkIP('2001:db8::1')).toBe('2001:db8::1');
    expect(certificate.checkHost('other.example')).toBeUndefined();
    expect(Date.parse(certificate.validTo)).toBeGreaterThan(Date.now() + 9.9 * YEAR);
  });

  it('satisfies a TLS client that was given it, and shows its fingerprint', async () => {
    const { cert, key, fingerprint } = await createServerCertificate(['localhost']);
    const server = tls.createServer({ cert, key, minVersion: 'TLSv1.3' }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const client = tls.connect({ host: '127.0.0.1', port, servername: 'localhost', ca: cert });
    await once(client, 'secureConnect');
    expect(client.authorized).toBe(true);
    expect(parseFingerprint(client.getPeerCertificate().fingerprint256)).toEqual(fingerprint);
    client.destroy();
    server.close();
    await once(server, 'close');
  });
});

describe('fingerprints', () => {
  const bytes = Buffer.from(Array.from({ length: 32 }, (_, i) => i * 8));
  const text = formatFingerprint(bytes);

  it('are shown as openssl does', () => {
    expect(text).toMatch(/^00:08:10:.*:F0:F8$/);
  });

  it.each([
    text,
    text.toLowerCase(),
    text.replaceAll(':', ''),
    `sha256:${text}`,
    `SHA256:${bytes.toString('hex')}`,
    ` ${text}\n`,
  ])('are read from %j', (written) => {
    expect(parseFingerprint(written)).toEqual(bytes);
  });

  it.each(['', text.slice(3), `${text}:00`, text.replace('F8', 'G8'), `sha1:${text}`])(
    'are not read from %j',
    (written) => {
      expect(parseFingerprint(written)).toBeUndefined();
    },
  );
});
