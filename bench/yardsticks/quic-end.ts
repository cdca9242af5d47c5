import type { Socket as UdpSocket } from 'node:dgram';
import { createLinkCertificate } from '../../src/certificate.ts';
import { loadQuiche, type Quiche, type QuicheConnection } from '../../src/quic/binding.ts';
import { createConfig, PACKET_SIZE } from '../../src/quic/config.ts';

// What the bare ends of a QUIC connection have in common.

export const HOST = '127.0.0.1';
export const HERE = { host: HOST, port: 1 };
export const THERE = { host: HOST, port: 2 };
const SLAB_SIZE = 64 * 1024;
/** As ours: otherwise a fifth of what is sent is lost on loopback, and sent again. */
const RECEIVE_BUFFER = 2 * 1024 * 1024;

/** Binds to any free port, which it returns. */
export async function bind(udp: UdpSocket): Promise<number> {
  await new Promise<void>((resolve) => udp.bind({ address: HOST }, resolve));
  udp.setRecvBufferSize(RECEIVE_BUFFER);
  return udp.address().port;
}

/** The library, and the configuration of our carrier. */
export async function configured(role: 'subscriber' | 'publisher') {
  const support = await loadQuiche();
  if (!support.available) throw new Error(support.problem);
  const { quiche }: { quiche: Quiche } = support;
  const certificate = await createLinkCertificate();
  return {
    quiche,
    config: createConfig(quiche, { role, certificate, maxStreams: 1024, idleTimeout: 60_000 }),
  };
}

/** Sends what quiche has for the peer, from memory that is given to the system piece by piece. */
export class PacketSender {
  readonly #native: QuicheConnection;
  readonly #udp: UdpSocket;
  readonly #peerPort: number;
  #slab = Buffer.allocUnsafeSlow(SLAB_SIZE);
  #used = 0;

  constructor(native: QuicheConnection, udp: UdpSocket, peerPort: number) {
    this.#native = native;
    this.#udp = udp;
    this.#peerPort = peerPort;
  }

  /** All that may be sent now. */
  send(): void {
    while (this.#sendPacket());
  }

  #sendPacket(): boolean {
    if (SLAB_SIZE - this.#used < PACKET_SIZE) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_SIZE);
      this.#used = 0;
    }
    const sent = this.#native.send(this.#slab.subarray(this.#used, this.#used + PACKET_SIZE));
    if (sent === null) return false;
    this.#udp.send(this.#slab, this.#used, sent[0], this.#peerPort, HOST);
    this.#used += sent[0];
    return true;
  }
}
