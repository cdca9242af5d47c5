import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { ByteStream, Carrier } from '../../src/carrier.ts';
import { asUnderpassError } from '../../src/errors.ts';
import { Recorder } from '../support/mux-pair.ts';
import { established, quiche, until } from '../support/quic-pair.ts';

const MIB = 1024 * 1024;

/** A stream, as soon as those that were reset have left room for one. */
async function opened(carrier: Carrier): Promise<ByteStream> {
  let stream: ByteStream | undefined;
  await until(() => {
    try {
      stream = carrier.open();
    } catch (error) {
      if (asUnderpassError(error).code !== 'too_many_channels') throw error;
    }
    return stream !== undefined;
  });
  return stream as ByteStream;
}

describe.skipIf(quiche === undefined)('a reset on a QUIC carrier', () => {
  it('ends both directions at both ends, and forgets what is queued', async () => {
    const { subscriber, events } = await established();
    const near = new Recorder(subscriber.open());
    near.stream.write(Buffer.from('hello'));
    await until(() => events.publisher.streams.length === 1);
    const far = events.publisher.streams[0] as Recorder;
    far.stream.write(Buffer.alloc(MIB));
    near.stream.write(Buffer.alloc(MIB));
    near.stream.reset();
    const before = near.received;
    await until(() => far.events.includes('reset'));
    await sleep(20);
    expect([near.events, near.received]).toEqual([[], before]);
    expect(far.events.at(-1)).toBe('reset');
    expect(far.received).toBeLessThan(MIB);
    expect(near.stream.write(Buffer.alloc(1))).toBe(true);
    subscriber.close();
    expect(near.events).toEqual([]);
  });

  it('reaches a stream that its peer has ended', async () => {
    const { subscriber, events } = await established();
    const near = new Recorder(subscriber.open());
    near.stream.write(Buffer.from('question'));
    near.stream.end();
    await until(() => events.publisher.streams[0]?.events.includes('end') ?? false);
    near.stream.reset();
    await until(() => events.publisher.streams[0]?.events.includes('reset') ?? false);
    expect(events.publisher.streams[0]?.events).toEqual(['end', 'reset']);
    subscriber.close();
  });

  it('is never taken for an end', async () => {
    const { subscriber, events } = await established({ weather: { jitterMs: 6 }, maxStreams: [300, 300] });
    const near = Array.from({ length: 200 }, () => new Recorder(subscriber.open()));
    for (const { stream } of near) {
      stream.write(Buffer.alloc(3000));
      stream.reset();
    }
    await sleep(100);
    expect(events.publisher.streams.flatMap(({ events }) => events)).not.toContain('end');
    expect(events.publisher.streams.every(({ events }) => events.includes('reset'))).toBe(true);
    subscriber.close();
  });

  it('may come from both sides at once, and from inside a handler', async () => {
    const { subscriber, publisher, events } = await established();
    const calls: string[] = [];
    events.publisher.onStream = (stream) =>
      stream.attach({
        onData: () => {
          calls.push('data');
          stream.reset();
        },
        onEnd: () => calls.push('end'),
        onReset: () => calls.push('reset'),
        onDrain: () => calls.push('drain'),
      });
    const near = subscriber.open();
    near.write(Buffer.alloc(500_000));
    near.end();
    await until(() => calls.length > 0);
    near.reset();
    await sleep(30);
    expect(calls).toEqual(['data']);
    subscriber.close();
    publisher.close();
  });

  it('tells a late handler what has happened to its stream', async () => {
    const { subscriber, events } = await established();
    const kept: ByteStream[] = [];
    events.publisher.onStream = (stream) => kept.push(stream);
    const [ended, reset] = [subscriber.open(), subscriber.open()];
    for (const stream of [ended, reset]) stream.write(Buffer.from('hi'));
    ended.end();
    await until(() => kept.length === 2);
    reset.reset();
    await sleep(20);
    const [one, two] = kept.map((stream) => new Recorder(stream));
    expect([one?.text, one?.events, two?.events]).toEqual(['hi', ['end'], ['reset']]);
    subscriber.close();
  });

  it.each(['near', 'far'] as const)(
    'takes nothing from the connection for good, by the %s side',
    async (side) => {
      const { subscriber, events } = await established({ maxStreams: [4, 4], weather: { jitterMs: 2 } });
      // More broken downloads than the connection's window would survive, and than streams are allowed.
      for (let i = 0; i < 60; i++) {
        const near = new Recorder(subscriber.open());
        near.stream.write(Buffer.from('!'));
        await until(() => events.publisher.streams.length === 1);
        const far = events.publisher.streams.pop() as Recorder;
        const pump = () => {
          while (far.stream.write(Buffer.alloc(100_000)));
        };
        far.onDrain = pump;
        near.onReset = () => {};
        pump();
        await until(() => near.received > 300_000);
        far.onDrain = () => {};
        (side === 'near' ? near : far).stream.reset();
        await sleep(5);
      }
      const near = new Recorder(subscriber.open());
      near.stream.write(Buffer.alloc(MIB));
      await until(() => events.publisher.streams[0]?.received === MIB);
      subscriber.close();
    },
  );

  it('costs nothing for a stream that was never used', async () => {
    const { subscriber, events } = await established({ maxStreams: [2, 2] });
    for (let i = 0; i < 500; i++) {
      const stream = await opened(subscriber);
      stream.reset();
    }
    await sleep(50);
    expect(events.publisher.streams).toEqual([]);
    subscriber.open().write(Buffer.from('still here'));
    await until(() => events.publisher.streams[0]?.text === 'still here');
    subscriber.close();
  });
});
