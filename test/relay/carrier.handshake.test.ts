import { type ConnectionOptions, connect } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { asUnderpassError } from '../../src/errors.ts';
import { RelayCarrier } from '../../src/relay/carrier.ts';
import { StreamDuplex } from '../../src/relay/duplex.ts';
import { encodeHeader, Flag, FrameType } from '../../src/relay/frame.ts';
import { carriers, Events, ours, outer, stranger, theirs } from '../support/carrier-pair.ts';
import { decodeAll } from '../support/naive-frames.ts';

describe('a wrong certificate', () => {
  it('of the publisher is refused, and nothing was sent', async () => {
    const { subscriber, events } = await carriers({
      shows: [ours, stranger],
    });
    expect(subscriber).toMatchObject({ code: 'peer_certificate' });
    expect(events.publisher.streams).toEqual([]);
  });

  it('of the subscriber is refused, and none of its bytes is delivered', async () => {
    const { subscriber, publisher, events, settle } = await carriers({
      shows: [stranger, theirs],
    });
    expect(publisher).toMatchObject({ code: 'peer_certificate' });
    // TLS 1.3 lets a client finish before the server has looked at its certificate.
    if (subscriber instanceof RelayCarrier) {
      expect(events.subscriber.closes.map((error) => error?.code)).toEqual(['peer_lost']);
    } else expect(subscriber).toMatchObject({ code: 'peer_lost' });
    await settle();
    expect(events.publisher.streams).toEqual([]);
  });
});

describe('a TLS client of another make', () => {
  /** Runs a bare TLS client against a publisher, and returns what the publisher made of it. */
  async function against(options: ConnectionOptions) {
    const { near, far, runtime, settle } = await outer();
    const events = new Events();
    const outcome = RelayCarrier.establish(
      { bulk: far },
      {
        role: 'publisher',
        name: 'my-game',
        certificate: theirs,
        peerFingerprint: ours.fingerprint,
        maxStreams: 1,
        runtime,
      },
      events,
    ).catch(asUnderpassError);
    const socket = connect({ socket: new StreamDuplex(near), rejectUnauthorized: false, ...options });
    socket.on('error', () => socket.destroy());
    socket.write(encodeHeader(FrameType.windowUpdate, Flag.syn, 1, 0));
    // Whoever does not answer pings is not there.
    socket.on('data', (bytes: Buffer) => {
      for (const { type, length } of decodeAll(bytes).frames)
        if (type === FrameType.ping) socket.write(encodeHeader(type, Flag.ack, 0, length));
    });
    await settle();
    socket.destroy();
    await settle();
    return { result: await outcome, events };
  }

  it('is welcome with the right certificate and protocol', async () => {
    const { result, events } = await against({ ...ours, ALPNProtocols: ['underpass/1'] });
    expect(result).toBeInstanceOf(RelayCarrier);
    expect(events.streams).toHaveLength(1);
  });

  it.each<[string, () => ConnectionOptions, string]>([
    ['without a certificate', () => ({ ALPNProtocols: ['underpass/1'] }), 'peer_certificate'],
    ['without the protocol', () => ({ ...ours }), 'peer_certificate'],
    ['with another protocol', () => ({ ...ours, ALPNProtocols: ['h2'] }), 'peer_lost'],
    ['with TLS 1.2', () => ({ ...ours, ALPNProtocols: ['underpass/1'], maxVersion: 'TLSv1.2' }), 'peer_lost'],
  ])('is refused %s, before any of its bytes counts', async (_name, options, code) => {
    const { result, events } = await against(options());
    expect(result).toMatchObject({ code });
    expect(events.streams).toEqual([]);
  });
});

describe('a handshake that never ends', () => {
  it('is given up', async () => {
    const { near, runtime, settle } = await outer();
    const outcome = RelayCarrier.establish(
      { bulk: near },
      {
        role: 'subscriber',
        name: 'my-game',
        certificate: ours,
        peerFingerprint: theirs.fingerprint,
        maxStreams: 1,
        runtime,
      },
      new Events(),
    ).catch(asUnderpassError);
    await settle();
    runtime.advance(15_000);
    await settle();
    expect(await outcome).toMatchObject({ code: 'peer_lost' });
  });

  it('is not, when the peer sends noise: that ends it at once', async () => {
    for (const noise of [
      '\u0000'.repeat(100),
      'GET / HTTP/1.1\r\n\r\n',
      '\u0016\u0003\u0001\u0000\u0005hello',
    ]) {
      const { near, far, runtime, settle } = await outer();
      const events = new Events();
      const outcome = RelayCarrier.establish(
        { bulk: near },
        {
          role: 'publisher',
          name: 'my-game',
          certificate: ours,
          peerFingerprint: theirs.fingerprint,
          maxStreams: 1,
          runtime,
        },
        events,
      ).catch(asUnderpassError);
      far.write(Buffer.from(noise, 'latin1'));
      await settle();
      far.reset();
      await settle();
      expect(await outcome).toMatchObject({ code: 'peer_lost' });
      expect(events.streams).toEqual([]);
    }
  });
});
