import { describe, expect, it } from 'vitest';
import type { Certificate } from '../../src/certificate.ts';
import { asUnderpassError } from '../../src/errors.ts';
import { type Runtime, systemRuntime } from '../../src/net/runtime.ts';
import type { Quiche, QuicheConfig } from '../../src/quic/binding.ts';
import { QuicCarrier } from '../../src/quic/carrier.ts';
import { createConfig } from '../../src/quic/config.ts';
import { Connection } from '../../src/quic/connection.ts';
import { Events, ours, stranger, theirs } from '../support/carrier-pair.ts';
import { thrownBy } from '../support/errors.ts';
import { quiche, quicPair, until, Wire } from '../support/quic-pair.ts';

describe.skipIf(quiche === undefined)('the handshake', () => {
  it('ends well when both show what the other expects', async () => {
    const { subscriber, publisher, outcomes, events } = quicPair();
    expect(thrownBy(() => subscriber.open()).code).toBe('peer_lost');
    expect(await outcomes).toEqual([undefined, undefined]);
    subscriber.close();
    publisher.close();
    expect(events.subscriber.closes).toEqual([undefined]);
  });

  it('survives loss and disorder', async () => {
    for (let seed = 1; seed <= 4; seed++) {
      const { subscriber, outcomes } = quicPair({ weather: { lossPercent: 20, jitterMs: 5 }, seed });
      expect(await outcomes).toEqual([undefined, undefined]);
      subscriber.close();
    }
  });

  it('refuses a wrong certificate of the publisher, and nothing was sent', async () => {
    const { outcomes, events } = quicPair({ shows: [ours, stranger] });
    const [subscriber, publisher] = await outcomes;
    expect([subscriber?.code, publisher?.code]).toEqual(['peer_certificate', 'peer_lost']);
    expect(events.publisher.streams).toEqual([]);
    expect([...events.subscriber.closes, ...events.publisher.closes]).toEqual([]);
  });

  it('refuses a wrong certificate of the subscriber, and none of its bytes is delivered', async () => {
    const { outcomes, events } = quicPair({ shows: [stranger, theirs] });
    const [subscriber, publisher] = await outcomes;
    expect([subscriber?.code, publisher?.code]).toEqual(['peer_lost', 'peer_certificate']);
    expect(events.publisher.streams).toEqual([]);
  });

  it('can be closed before it ends', async () => {
    const { subscriber, publisher, outcomes, events } = quicPair();
    subscriber.close();
    publisher.close();
    expect((await outcomes).map((error) => error?.code)).toEqual(['peer_lost', 'peer_lost']);
    expect(events.subscriber.closes).toEqual([]);
  });

  it('begins with the first good packet, whatever came before', async () => {
    const { publisher, subscriber, outcomes } = quicPair();
    const initial = Buffer.alloc(1200);
    initial.writeUInt8(0xc3, 0);
    initial.writeUInt32BE(1, 1);
    initial.writeUInt8(8, 5);
    for (const noise of [Buffer.alloc(0), Buffer.alloc(60, 0x40), Buffer.alloc(1200, 0xc0), initial]) {
      publisher.receive(noise);
    }
    expect(await outcomes).toEqual([undefined, undefined]);
    subscriber.close();
  });
});

describe.skipIf(quiche === undefined)('a client of another make', () => {
  /** Runs a bare QUIC client against a publisher, and returns what the publisher made of it. */
  async function against(configure: (native: Quiche) => QuicheConfig) {
    const native = quiche as Quiche;
    const events = new Events();
    const [up, down] = [new Wire(1), new Wire(2)];
    const publisher = new QuicCarrier(
      {
        quiche: native,
        role: 'publisher',
        name: 'my-game',
        certificate: theirs,
        peerFingerprint: ours.fingerprint,
        maxStreams: 1,
        runtime: systemRuntime,
        send: (packet) => down.send(packet),
      },
      events,
    );
    const endings: string[] = [];
    const options = { quiche: native, isClient: true, runtime: systemRuntime, idleTimeout: 1000 };
    const client = new Connection(
      { ...options, config: configure(native), send: (packet) => up.send(packet) },
      {
        onTurn: (connection) => {
          if (!connection.isEstablished()) return 'done';
          connection.dgramSend(Buffer.from('let me in'));
          connection.streamSend(0, Buffer.from('let me in'), true);
          return 'done';
        },
        onSent: () => {},
        onSilence: () => {},
        onOver: ({ kind }) => endings.push(kind),
      },
    );
    up.receive = (packet) => publisher.receive(packet);
    down.receive = (packet) => client.receive(packet);
    const outcome = await publisher.established.catch(asUnderpassError);
    await until(() => endings.length === 1);
    return { code: outcome?.code, heard: events.streams.length + events.datagrams.length };
  }

  const configOf = (certificate: Certificate, native = quiche as Quiche) =>
    createConfig(native, { role: 'subscriber', certificate, maxStreams: 1, idleTimeout: 1000 });

  /** Like `createConfig`, as far as a handshake needs it. */
  function bare(certificate: Certificate | undefined, protocol: string): QuicheConfig {
    const { Config } = quiche as Quiche;
    const [key, cert] = certificate
      ? [[Buffer.from(certificate.key)], [Buffer.from(certificate.cert)]]
      : [null, null];
    const config = Config.withBoringSslCtx(true, true, null, key, cert, null);
    config.setApplicationProtos([protocol]);
    config.setMaxIdleTimeout(1000);
    config.setInitialMaxData(100_000);
    config.setInitialMaxStreamsUni(1);
    config.setInitialMaxStreamDataUni(1000);
    return config;
  }

  it.each<[string, () => QuicheConfig, string]>([
    ['with another certificate', () => configOf(stranger), 'peer_certificate'],
    ['without a certificate', () => bare(undefined, 'underpass/1'), 'peer_certificate'],
    ['with another protocol', () => bare(ours, 'h3'), 'protocol_error'],
  ])('is refused %s, before any of its bytes counts', async (_name, configure, code) => {
    expect(await against(configure)).toEqual({ code, heard: 0 });
  });
});

describe.skipIf(quiche === undefined)('a handshake that never ends', () => {
  it('is given up', async () => {
    const hasty: Runtime = {
      ...systemRuntime,
      setTimer: (delay, callback) => systemRuntime.setTimer(delay / 100, callback),
    };
    const { outcomes, up } = quicPair({ weather: { lossPercent: 100 }, runtime: hasty });
    expect((await outcomes).map((error) => error?.code)).toEqual(['peer_lost', 'peer_lost']);
    expect(up.packets).toBeGreaterThan(0);
  });
});
