import { createCipheriv, createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemRuntime } from '../../src/net/runtime.ts';
import type { Quiche, QuicheConfig, QuicheConnection } from '../../src/quic/binding.ts';
import { QuicCarrier } from '../../src/quic/carrier.ts';
import { createConfig } from '../../src/quic/config.ts';
import { Connection } from '../../src/quic/connection.ts';
import { Control } from '../../src/quic/control.ts';
import { Events, ours, theirs } from './carrier-pair.ts';
import { quiche, until } from './quic-pair.ts';

/** What only tests want of the native library: it writes the secrets of a connection to a file. */
interface Telling {
  logKeys(): void;
  setKeylog(path: string): void;
}

/** QUIC's variable-length integer (RFC 9000 section 16), in its longest form. */
export function varint(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value) | (3n << 62n));
  return bytes;
}

/** A DATAGRAM frame with a length (RFC 9221 section 4). */
export function datagramFrame(datagram: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(datagram.length | 0x4000);
  return Buffer.concat([Buffer.from([0x31]), length, datagram]);
}

/** Seals packets of one connection's last stage (RFC 9001 section 5) with whatever frames are asked for. */
class Forge {
  readonly #cipher: 'aes-128' | 'aes-256';
  readonly #key: Buffer;
  readonly #iv: Buffer;
  readonly #mask: Buffer;
  readonly #peerId: Buffer;
  #number = 1000;

  constructor(secret: Buffer, peerId: Buffer) {
    const isLong = secret.length === 48;
    const hash = isLong ? 'sha384' : 'sha256';
    this.#cipher = isLong ? 'aes-256' : 'aes-128';
    const expand = (label: string, size: number) => expandLabel(hash, secret, label, size);
    this.#key = expand('quic key', isLong ? 32 : 16);
    this.#iv = expand('quic iv', 12);
    this.#mask = expand('quic hp', isLong ? 32 : 16);
    this.#peerId = peerId;
  }

  /** @param keyPhase 1 claims that the keys have been changed */
  packet(frames: Buffer, keyPhase = 0): Buffer {
    const number = Buffer.alloc(4);
    number.writeUInt32BE(this.#number++);
    const header = Buffer.concat([Buffer.from([0x43 | (keyPhase << 2)]), this.#peerId, number]);
    const nonce = Buffer.from(this.#iv);
    for (let i = 0; i < 4; i++) nonce[8 + i] = (nonce[8 + i] ?? 0) ^ (number[i] ?? 0);
    const cipher = createCipheriv(`${this.#cipher}-gcm`, this.#key, nonce).setAAD(header);
    const sealed = Buffer.concat([cipher.update(frames), cipher.final(), cipher.getAuthTag()]);
    const mask = createCipheriv(`${this.#cipher}-ecb`, this.#mask, null).update(sealed.subarray(0, 16));
    header[0] = (header[0] ?? 0) ^ ((mask[0] ?? 0) & 0x1f);
    const at = header.length - 4;
    for (let i = 0; i < 4; i++) header[at + i] = (header[at + i] ?? 0) ^ (mask[1 + i] ?? 0);
    return Buffer.concat([header, sealed]);
  }
}

/** A carrier, and a peer of the right certificate that has met it and says whatever the test wants from now on. */
export async function againstHostile(hostile: 'subscriber' | 'publisher') {
  const native = quiche as Quiche;
  const folder = mkdtempSync(join(tmpdir(), 'underpass-quic-'));
  const keyLog = join(folder, 'keys');
  const isClient = hostile === 'subscriber';
  const [certificate, expected] = isClient ? [ours, theirs] : [theirs, ours];
  const config = createConfig(native, { role: hostile, certificate, maxStreams: 100, idleTimeout: 5000 });
  (config as QuicheConfig & Telling).logKeys();
  const telling: Quiche = {
    ...native,
    Connection: {
      connect: (...args) => told(native.Connection.connect(...args), keyLog),
      accept: (...args) => told(native.Connection.accept(...args), keyLog),
    },
  };
  const events = new Events();
  const endings: string[] = [];
  const sent: Buffer[] = [];
  let peer: QuicheConnection | undefined;
  let deaf = false;
  const control = new Control(hostile, { onGreeting: () => {}, onReset: () => {} });
  const connection = new Connection(
    {
      quiche: telling,
      config,
      isClient,
      runtime: systemRuntime,
      idleTimeout: 5000,
      send: (packet) => {
        setImmediate(() => carrier.receive(packet));
        return false;
      },
    },
    {
      onTurn: (connection) => {
        peer = connection;
        if (connection.isEstablished()) control.transmit(connection);
        return 'done';
      },
      onSent: () => {},
      onSilence: () => {},
      onOver: ({ kind }) => endings.push(kind),
    },
  );
  const carrier = new QuicCarrier(
    {
      quiche: native,
      role: isClient ? 'publisher' : 'subscriber',
      name: 'my-game',
      certificate: expected,
      peerFingerprint: certificate.fingerprint,
      maxStreams: 100,
      runtime: systemRuntime,
      idleTimeout: 5000,
      send: (packet) => {
        sent.push(packet);
        if (!deaf) setImmediate(() => connection.receive(Buffer.from(packet)));
        return false;
      },
    },
    events,
  );
  await carrier.established;
  await until(() => peer?.isEstablished() ?? false);
  const peerId = Buffer.from((peer as unknown as { destinationId(): Uint8Array }).destinationId());
  const forge = new Forge(secretIn(keyLog, isClient ? 'CLIENT' : 'SERVER'), peerId);
  rmSync(folder, { recursive: true });
  return {
    carrier,
    events,
    /** Packets that the carrier has sent. */
    sent,
    /** From now on nothing that the carrier sends is acknowledged. */
    stopListening: () => {
      deaf = true;
    },
    say: (frames: Buffer, keyPhase?: number) => carrier.receive(forge.packet(frames, keyPhase)),
  };
}

function told(connection: QuicheConnection, keyLog: string): QuicheConnection {
  (connection as QuicheConnection & Telling).setKeylog(keyLog);
  return connection;
}

function secretIn(keyLog: string, whose: 'CLIENT' | 'SERVER'): Buffer {
  const line = readFileSync(keyLog, 'utf8').match(new RegExp(`^${whose}_TRAFFIC_SECRET_0 \\w+ (\\w+)$`, 'm'));
  if (line?.[1] === undefined) throw new Error('no secret was logged');
  return Buffer.from(line[1], 'hex');
}

/** HKDF-Expand-Label (RFC 8446 section 7.1). */
function expandLabel(hash: string, secret: Buffer, label: string, size: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.from([0, size, name.length]), name, Buffer.from([0])]);
  // A first block is all that is ever asked for.
  return createHmac(hash, secret)
    .update(Buffer.concat([info, Buffer.from([1])]))
    .digest()
    .subarray(0, size);
}
