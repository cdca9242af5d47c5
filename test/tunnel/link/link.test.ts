import { describe, expect, it } from 'vitest';
import type { ByteStream } from '../../../src/carrier.ts';
import { INITIAL_CREDIT, ResetCode } from '../../../src/tunnel/channel/channel-frame.ts';
import { thrownBy } from '../../support/errors.ts';
import { type Application, linkPair } from '../../support/link-pair.ts';
import { Recorder } from '../../support/mux-pair.ts';
import { forSeeds } from '../../support/seeds.ts';
import { patternAt } from '../../support/session-world.ts';

/** Keeps the channel as full as it lets us, up to `total` bytes. Returns how many were written so far. */
function writeOn(application: Application, total = Number.POSITIVE_INFINITY): () => number {
  let written = 0;
  const pump = () => {
    for (let room = true; room && written < total; ) {
      const chunk = patternAt(written, Math.min(16_384, total - written));
      written += chunk.length;
      room = application.channel?.write(chunk) ?? false;
    }
  };
  application.onDrain = pump;
  pump();
  return () => written;
}

describe('a channel on a link', () => {
  it('carries both ways, with half-close, and is forgotten', () => {
    const { runtime, open, accepted, subscriber, publisher, client, server } = linkPair();
    const near = open();
    near.channel.write(Buffer.from('question'));
    near.channel.end();
    runtime.advance(20);
    const [far] = accepted;
    expect(far).toMatchObject({ header: { port: 0, channel: 0n }, text: 'question', ended: true, over: [] });
    far?.channel?.write(Buffer.from('answer'));
    far?.channel?.end();
    runtime.advance(20);
    expect(near).toMatchObject({ text: 'answer', ended: true, over: ['finished'] });
    expect(far?.over).toEqual(['finished']);
    expect([subscriber.channelCount, publisher.channelCount]).toEqual([0, 0]);
    expect([client.mux.streamCount, server.mux.streamCount]).toEqual([0, 0]);
  });

  it('carries megabytes both ways at once, whatever the latency', () => {
    for (const latency of [0, 1, 50]) {
      const { runtime, open, accepted } = linkPair({ latency });
      const near = open();
      writeOn(near, 3_000_000);
      runtime.advance(latency * 4 + 10);
      const far = accepted[0] as Application;
      writeOn(far, 3_000_000);
      runtime.advance(60_000);
      expect([near.received, far.received]).toEqual([3_000_000, 3_000_000]);
      const read = Buffer.concat(far.chunks);
      expect(read.subarray(2_000_000, 2_100_000).equals(patternAt(2_000_000, 100_000))).toBe(true);
    }
  });

  it('stops its writer within bounds when its reader stops', () => {
    const { runtime, open, accepted } = linkPair();
    const near = open();
    runtime.advance(20);
    const far = accepted[0] as Application;
    far.consumes = false;
    const written = writeOn(near);
    runtime.advance(20_000);
    expect(far.received).toBe(INITIAL_CREDIT);
    expect(written()).toBeLessThanOrEqual(INITIAL_CREDIT + 128 * 1024);
    far.consumeAll();
    runtime.advance(1000);
    expect(far.received).toBeGreaterThan(1_000_000);
  });

  it('does not stop for another that is stalled', () => {
    const { runtime, open, accepted } = linkPair();
    const [stalled, busy] = [open(), open()];
    runtime.advance(20);
    (accepted[0] as Application).consumes = false;
    writeOn(stalled);
    runtime.advance(1000);
    writeOn(busy, 5_000_000);
    runtime.advance(5000);
    expect(accepted[1]?.received).toBe(5_000_000);
    expect(accepted[0]?.received).toBe(INITIAL_CREDIT);
  });

  it('resets with its code, and drops what was on its way', () => {
    const { runtime, open, accepted, publisher, server, client } = linkPair();
    const near = open();
    runtime.advance(20);
    const far = accepted[0] as Application;
    far.channel?.write(Buffer.alloc(10_000));
    far.channel?.reset(ResetCode.serviceUnreachable);
    near.channel.write(Buffer.from('too late'));
    runtime.advance(20);
    expect(near.over).toEqual([ResetCode.serviceUnreachable]);
    expect(far).toMatchObject({ over: [], received: 0 });
    expect([publisher.channelCount, client.mux.streamCount, server.mux.streamCount]).toEqual([0, 0, 0]);
    near.channel.reset(ResetCode.closed);
    expect(near.over).toHaveLength(1);
  });

  it('can be reset from inside its own handlers', () => {
    const { runtime, open, accepted, subscriber, publisher } = linkPair();
    const near = open();
    runtime.advance(20);
    const far = accepted[0] as Application;
    far.onData = () => far.channel?.reset(ResetCode.closed);
    near.channel.write(Buffer.from('one'));
    near.channel.write(Buffer.from('two'));
    near.channel.end();
    runtime.advance(20);
    expect([near.over, far.over, far.ended]).toEqual([[ResetCode.closed], [], false]);
    expect([subscriber.channelCount, publisher.channelCount]).toEqual([0, 0]);
  });
});

describe('a link', () => {
  it('serves a thousand channels at once, and forgets them all', () => {
    const { runtime, open, accepted, subscriber, publisher, client, server } = linkPair();
    const near = Array.from({ length: 1000 }, () => open());
    for (const [i, { channel }] of near.entries()) {
      channel.write(Buffer.from(`hello ${i}`));
      channel.end();
    }
    expect(subscriber.channelCount).toBe(1000);
    runtime.advance(100);
    expect(accepted.map(({ text }) => text)).toEqual(near.map((_, i) => `hello ${i}`));
    for (const { channel } of accepted) {
      channel?.write(Buffer.alloc(10_000));
      channel?.end();
    }
    runtime.advance(1000);
    expect(near.every(({ received, over }) => received === 10_000 && over[0] === 'finished')).toBe(true);
    expect([subscriber.channelCount, publisher.channelCount]).toEqual([0, 0]);
    expect([client.mux.streamCount, server.mux.streamCount]).toEqual([0, 0]);
  });

  it('refuses more channels than it may carry, with a name, and takes more when some are gone', () => {
    const { runtime, open, accepted, publisher } = linkPair({ maxChannels: 2 });
    const near = [open(), open(), open()];
    runtime.advance(20);
    expect(near.map(({ over }) => over)).toEqual([[], [], [ResetCode.tooManyChannels]]);
    expect([accepted.length, publisher.channelCount]).toEqual([2, 2]);
    near[0]?.channel.reset(ResetCode.closed);
    runtime.advance(20);
    open();
    runtime.advance(20);
    expect([accepted.length, publisher.channelCount]).toEqual([3, 2]);
  });

  it('opens no more than it may', () => {
    const { open } = linkPair();
    for (let i = 0; i < 1024; i++) open();
    expect(thrownBy(open).code).toBe('too_many_channels');
  });

  it('resets its channels when it closes, here and there', () => {
    const { runtime, open, accepted, closes, subscriber, publisher } = linkPair();
    const near = open();
    runtime.advance(20);
    subscriber.close();
    subscriber.close();
    expect(near.over).toEqual([ResetCode.closed]);
    runtime.advance(20);
    expect(accepted[0]?.over).toEqual([ResetCode.closed]);
    expect([subscriber.channelCount, publisher.channelCount]).toEqual([0, 0]);
    expect(thrownBy(open).code).toBe('peer_lost');
    expect(closes).toMatchObject({ subscriber: [undefined], publisher: [{ code: 'peer_left' }] });
  });

  it('is reset by a peer that breaks the channel’s protocol, one channel at a time', () => {
    const { runtime, client, open, accepted, publisher } = linkPair();
    const good = open();
    const bad = new Recorder(client.mux.open() as ByteStream);
    bad.stream.write(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
    runtime.advance(20);
    expect(Buffer.concat(bad.chunks).toString('hex')).toBe('030000020004');
    expect(bad.events).toEqual(['end']);
    expect(publisher.channelCount).toBe(1);
    bad.stream.write(Buffer.alloc(100));
    good.channel.write(Buffer.from('fine'));
    runtime.advance(20);
    expect(accepted[0]?.text).toBe('fine');
  });

  it('counts each channel once, whatever follows its reset', () => {
    const { runtime, client, publisher } = linkPair();
    for (let i = 0; i < 5; i++) {
      const bad = new Recorder(client.mux.open() as ByteStream);
      bad.stream.write(Buffer.alloc(16, 9));
      bad.stream.write(Buffer.alloc(100, 9));
      bad.stream.end();
    }
    runtime.advance(20);
    expect(publisher.channelCount).toBe(0);
  });

  it('ends with nothing left, whatever its channels do', () => {
    forSeeds(150, (random) => {
      const { runtime, open, accepted, subscriber, publisher, client, server } = linkPair({
        latency: random.integer(4),
      });
      const all: Application[] = [];
      for (let i = 0; i < 150; i++) {
        const pool = [...all, ...accepted];
        const one = pool[random.integer(Math.max(1, pool.length))];
        switch (random.integer(8)) {
          case 0:
            if (subscriber.channelCount < 20) all.push(open());
            break;
          case 1:
            if (random.integer(3) === 0) one?.channel?.reset(random.integer(5));
            break;
          case 2:
            if (random.integer(2) === 0) one?.channel?.end();
            break;
          case 3:
            if (one) one.consumes = random.integer(4) > 0;
            break;
          case 4:
            runtime.advance(random.integer(5));
            break;
          default:
            one?.channel?.write(Buffer.alloc(1 + random.integer(30_000)));
        }
      }
      for (const one of [...all, ...accepted]) {
        one.consumeAll();
        one.channel?.end();
      }
      runtime.advance(100);
      for (const one of [...all, ...accepted]) one.channel?.reset(ResetCode.closed);
      runtime.advance(100);
      expect([subscriber.channelCount, publisher.channelCount]).toEqual([0, 0]);
      expect([client.mux.streamCount, server.mux.streamCount]).toEqual([0, 0]);
      for (const one of [...all, ...accepted]) expect(one.over.length).toBeLessThanOrEqual(1);
    });
  });
});

describe('both ends of a link', () => {
  it('go the same way, though only one of them finds a path silent, and only that one finds it back', () => {
    const { runtime, open, accepted, connect } = linkPair();
    const { near, far } = connect('direct');
    const first = open();
    first.channel.write(Buffer.from('a'));
    runtime.advance(50);
    const channels = () => [first.channel, accepted[0]?.channel];
    const ways = () =>
      channels().map((channel) => channel?.sendingOn === (channel === first.channel ? near : far));
    expect(ways()).toEqual([true, true]);
    for (let times = 0; times < 3; times++) {
      near.onSilence(true);
      for (const channel of channels()) channel?.write(Buffer.from('b'));
      runtime.advance(50);
      expect(ways()).toEqual([false, false]);
      near.onSilence(false);
      for (const channel of channels()) channel?.write(Buffer.from('c'));
      runtime.advance(50);
      expect(ways()).toEqual([true, true]);
    }
    expect([accepted[0]?.text, first.text]).toEqual(['abcbcbc', 'bcbcbc']);
  });
});
