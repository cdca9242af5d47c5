import { constants, createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { connect, createSecureContext, TLSSocket } from 'node:tls';
import { UnderpassError } from '../errors.ts';

export type { TLSSocket };

/** The protocol both peers must agree on (ALPN, RFC 7301). */
const ALPN = 'underpass/1';

/** Hardware makes AES-128 the fastest on most machines; where it does not, ChaCha20 is. */
const CIPHERS = 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256';

export interface PinnedTlsOptions {
  readonly role: 'client' | 'server';
  /** Our certificate and key, PEM. */
  readonly cert: string;
  readonly key: string;
  /** SHA-256 of the DER of the one certificate that the peer may show. */
  readonly peerFingerprint: Buffer;
  /** The tunnel, for error messages. */
  readonly name: string;
}

/**
 * Runs a TLS 1.3 handshake over a stream and resolves with the encrypted socket, paused, once the peer has shown exactly the
 * pinned certificate. Rejects with `peer_certificate` when it showed another or none, and with `peer_lost` when the stream
 * ended; the stream is destroyed then. There is no resumption: every handshake proves the certificate anew.
 */
export function pinnedTls(transport: Duplex, options: PinnedTlsOptions): Promise<TLSSocket> {
  const socket =
    options.role === 'client' ? startClient(transport, options) : startServer(transport, options);
  return new Promise((resolve, reject) => {
    const fail = (error: UnderpassError): void => {
      socket.destroy();
      transport.destroy();
      reject(error);
    };
    const lost = (): void => fail(new UnderpassError('peer_lost', { name: options.name }));
    socket.once('close', lost);
    socket.on('error', lost);
    // 'secure' comes before any byte of the peer's is delivered, on both roles.
    socket.once('secure', () => {
      socket.removeListener('close', lost);
      if (!showsPinned(socket, options.peerFingerprint) || socket.alpnProtocol !== ALPN) {
        fail(new UnderpassError('peer_certificate', { name: options.name }));
        return;
      }
      resolve(socket);
    });
  });
}

function startClient(transport: Duplex, { cert, key }: PinnedTlsOptions): TLSSocket {
  // The pin replaces the chain and the name; they would say nothing about a self-signed certificate.
  return connect({
    socket: transport,
    cert,
    key,
    minVersion: 'TLSv1.3',
    ciphers: CIPHERS,
    ALPNProtocols: [ALPN],
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
}

function startServer(transport: Duplex, { cert, key }: PinnedTlsOptions): TLSSocket {
  const secureContext = createSecureContext({
    cert,
    key,
    minVersion: 'TLSv1.3',
    ciphers: CIPHERS,
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
  return new TLSSocket(transport, {
    isServer: true,
    secureContext,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: [ALPN],
  });
}

function showsPinned(socket: TLSSocket, fingerprint: Buffer): boolean {
  const shown = socket.getPeerX509Certificate();
  return shown !== undefined && createHash('sha256').update(shown.raw).digest().equals(fingerprint);
}
