import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { thrownBy } from '../support/errors.ts';
import { Recorder } from '../support/mux-pair.ts';
import { established, quiche, until } from '../support/quic-pair.ts';

describe.skipIf(quiche === undefined)('a pair of QUIC carriers', () => {
  it('carries bytes both ways on many streams, with half-close', async () => {
    const { subscriber, events } = await established();
    const near = Array.from({ length: 20 }, () => new Recorder(subscriber.open()));
    for (const [i, { stream }] of near.entries()) {
      stream.write(Buffer.from(`question ${i}`));
      stream.end();
    }
    await until(() => events.publisher.streams.filter(({ events: [end] }) => end === 'end').length === 20);
    expect(events.publisher.streams.map(({ text }) => text)).toEqual(near.map((_, i) => `question ${i}`));
    for (const { stream } of events.publisher.streams) {
      stream.write(Buffer.alloc(100_000, 7));
      stream.end();
    }
    await until(() => near.every(({ events }) => events.includes('end')));
    expect(near.map(({ received }) => received)).toEqual(near.map(() => 100_000));
    expect(events.publisher.closes.concat(events.subscriber.closes)).toEqual([]);
    subscriber.close();
  });

  it('knows the round trip', async () => {
    const { subscriber, publisher } = await established({ weather: { delayMs: 15 } });
    for (const { rtt } of [subscriber, publisher]) {
      expect(rtt).toBeGreaterThanOrEqual(29);
      expect(rtt).toBeLessThan(120);
    }
    subscriber.close();
  });

  it('shows nothing of what it carries to who carries it', async () => {
    const seen: Buffer[] = [];
    const { subscriber, events } = await established({
      weather: {
        tamper: (packet) => {
          seen.push(Buffer.from(packet));
          return [packet];
        },
      },
    });
    subscriber.open().write(Buffer.from('the secret of the game'));
    await until(() => events.publisher.streams[0]?.text === 'the secret of the game');
    expect(Buffer.concat(seen).length).toBeGreaterThan(500);
    expect(Buffer.concat(seen).includes('the secret')).toBe(false);
    subscriber.close();
  });

  it('allows no more streams than agreed, and none from the publisher', async () => {
    const { subscriber, publisher } = await established({ maxStreams: [10, 10] });
    const open = Array.from({ length: 10 }, () => subscriber.open());
    expect(thrownBy(() => subscriber.open()).code).toBe('too_many_channels');
    expect(thrownBy(() => publisher.open()).code).toBe('too_many_channels');
    open[0]?.reset();
    subscriber.open();
    subscriber.close();
  });

  it('refuses streams beyond the limit of its own, and goes on', async () => {
    const { subscriber, events } = await established({ maxStreams: [100, 3] });
    const near = Array.from({ length: 5 }, () => new Recorder(subscriber.open()));
    for (const { stream } of near) stream.write(Buffer.from('here'));
    await until(() => near.filter(({ events }) => events.includes('reset')).length === 2);
    expect(events.publisher.streams.map(({ text }) => text)).toEqual(['here', 'here', 'here']);
    expect(events.subscriber.closes).toEqual([]);
    subscriber.close();
  });

  it('closes: our side hears no error, the peer hears that we are gone, each once', async () => {
    const { subscriber, events } = await established();
    const near = new Recorder(subscriber.open());
    near.stream.write(Buffer.from('hello'));
    await until(() => events.publisher.streams.length === 1);
    subscriber.close();
    subscriber.close();
    expect(events.subscriber.closes).toEqual([undefined]);
    await until(() => events.publisher.closes.length > 0, 500);
    await sleep(20);
    expect(events.publisher.closes.map((error) => error?.code)).toEqual(['peer_left']);
    expect([near.events, events.publisher.streams[0]?.events]).toEqual([['reset'], ['reset']]);
    expect(thrownBy(() => subscriber.open()).code).toBe('peer_lost');
  });

  it('says goodbye again when that was lost', async () => {
    const { subscriber, up, events } = await established();
    const near = new Recorder(subscriber.open());
    near.stream.write(Buffer.from('hello'));
    await until(() => events.publisher.streams.length === 1);
    up.weather.lossPercent = 100;
    subscriber.close();
    up.weather.lossPercent = 0;
    events.publisher.streams[0]?.stream.write(Buffer.from('are you there?'));
    await until(() => events.publisher.closes.length === 1, 1000);
  });

  it('resets streams before it says that it is gone', async () => {
    const { subscriber, publisher, events } = await established();
    const near = new Recorder(subscriber.open());
    near.stream.write(Buffer.from('hello'));
    await until(() => events.publisher.streams.length === 1);
    const far = events.publisher.streams[0] as Recorder;
    let atReset = -1;
    far.onReset = () => {
      atReset = events.publisher.closes.length;
    };
    publisher.close();
    expect([atReset, events.publisher.closes.length]).toEqual([0, 1]);
  });

  it('can be closed from inside a handler', async () => {
    const { subscriber, publisher, events } = await established();
    const near = new Recorder(subscriber.open());
    near.stream.write(Buffer.from('hello'));
    await until(() => events.publisher.streams.length === 1);
    const far = events.publisher.streams[0] as Recorder;
    far.onData = () => publisher.close();
    near.stream.write(Buffer.from('go'));
    await until(() => events.subscriber.closes.length === 1);
    expect(events.publisher.closes).toEqual([undefined]);
    expect([near.events, far.events]).toEqual([['reset'], ['reset']]);
  });

  it('stays while nothing is said, by pings, and goes when the peer does', async () => {
    const { subscriber, up, down, events } = await established({ idleTimeout: 300 });
    const near = new Recorder(subscriber.open());
    near.stream.write(Buffer.from('hello'));
    await sleep(900);
    expect(events.subscriber.closes.concat(events.publisher.closes)).toEqual([]);
    for (const { weather } of [up, down]) weather.lossPercent = 100;
    const lostAt = performance.now();
    await until(() => events.subscriber.closes.length + events.publisher.closes.length === 2);
    expect(performance.now() - lostAt).toBeLessThan(900);
    const codes = [...events.subscriber.closes, ...events.publisher.closes].map((error) => error?.code);
    expect(codes).toEqual(['peer_lost', 'peer_lost']);
    expect([near.events, events.publisher.streams[0]?.events]).toEqual([['reset'], ['reset']]);
  });
});
