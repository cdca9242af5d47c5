import { createLinkCertificate } from '../../src/certificate.ts';
import { systemRuntime } from '../../src/net/runtime.ts';
import type { Quiche } from '../../src/quic/binding.ts';
import { QuicCarrier } from '../../src/quic/carrier.ts';

/** What a QUIC client that nobody knows sends first: an Initial packet (RFC 9000 section 17.2.2) that any server would answer. */
export async function strangersInitial(quiche: Quiche): Promise<Buffer> {
  const certificate = await createLinkCertificate();
  return new Promise((resolve) => {
    const carrier = new QuicCarrier(
      {
        ...{ quiche, role: 'subscriber', name: 'a stranger', certificate, runtime: systemRuntime },
        peerFingerprint: certificate.fingerprint,
        maxStreams: 1,
        send: (packet) => {
          resolve(Buffer.from(packet));
          setImmediate(() => carrier.close());
          return false;
        },
      },
      { onStream: () => {}, onDatagram: () => {}, onDatagramRoom: () => {}, onClose: () => {} },
    );
    carrier.established.catch(() => undefined);
  });
}
