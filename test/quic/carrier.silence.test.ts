import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Recorder } from '../support/mux-pair.ts';
import { established, quiche, until } from '../support/quic-pair.ts';

type Pair = Awaited<ReturnType<typeof established>>;

function setLoss({ up, down }: Pair, percent: number): void {
  for (const { weather } of [up, down]) weather.lossPercent = percent;
}

/** What both sides were told of silence. */
const silences = ({ events }: Pair) => [events.subscriber.silences, events.publisher.silences];

/** Writes whenever there is room. */
function load(recorder: Recorder): void {
  const chunk = Buffer.alloc(64 * 1024);
  const pump = () => {
    for (let room = true; room; ) room = recorder.stream.write(Buffer.from(chunk));
  };
  recorder.onDrain = pump;
  pump();
}

describe.skipIf(quiche === undefined)('a path under a QUIC carrier that dies', () => {
  it('under load: both sides hear of it within 800 ms, streams stay, and go on when it comes back', async () => {
    const pair = await established({ weather: { delayMs: 20 } });
    const near = new Recorder(pair.subscriber.open());
    load(near);
    await until(() => (pair.events.publisher.streams[0]?.received ?? 0) > 1024 * 1024);
    const diedAt = performance.now();
    setLoss(pair, 100);
    await until(() => silences(pair).every(([silent]) => silent === true), 2000);
    expect(performance.now() - diedAt).toBeLessThan(800);
    const received = pair.events.publisher.streams[0]?.received ?? 0;
    setLoss(pair, 0);
    await until(() => silences(pair).every(([, silent]) => silent === false), 3000);
    await until(() => (pair.events.publisher.streams[0]?.received ?? 0) > received + 1024 * 1024);
    expect(near.events).not.toContain('reset');
    expect(silences(pair)).toEqual([
      [true, false],
      [true, false],
    ]);
    pair.subscriber.close();
  });

  it.concurrent('one way only, while nothing is said on an open stream: it is noticed all the same', async () => {
    const pair = await established();
    pair.subscriber.open().write(Buffer.from('hello'));
    await until(() => pair.events.publisher.streams.length === 1);
    pair.down.weather.lossPercent = 100;
    await until(() => pair.events.subscriber.silences.length === 1, 1500);
    expect(pair.events.subscriber.silences).toEqual([true]);
    pair.subscriber.close();
  });

  it.concurrent('is dead no less when strangers go on sending', async () => {
    const pair = await established();
    pair.subscriber.open().write(Buffer.from('hello'));
    let last = Buffer.alloc(0);
    pair.down.weather.tamper = (packet) => {
      last = Buffer.from(packet);
      return [packet];
    };
    await until(() => last.length > 0);
    setLoss(pair, 100);
    const forging = setInterval(() => {
      pair.subscriber.receive(Buffer.concat([last.subarray(0, 21), Buffer.alloc(60, performance.now())]));
    }, 10);
    await until(() => pair.events.subscriber.silences.length === 1, 2000);
    clearInterval(forging);
    pair.subscriber.close();
  });

  it.concurrent('is of no interest while no stream is open', async () => {
    const pair = await established();
    setLoss(pair, 100);
    await sleep(1000);
    expect(silences(pair)).toEqual([[], []]);
    pair.subscriber.close();
  });
});

describe.skipIf(quiche === undefined).concurrent('a path under a QUIC carrier that lives', () => {
  it.each([
    { lossPercent: 5, delayMs: 10 },
    { delayMs: 5, jitterMs: 200 },
  ])('is not called silent by %j', async (weather) => {
    const pair = await established({ weather });
    const near = new Recorder(pair.subscriber.open());
    for (let i = 0; i < 6; i++) {
      near.stream.write(Buffer.alloc(20_000));
      await sleep(600);
    }
    expect(silences(pair)).toEqual([[], []]);
    pair.subscriber.close();
  });

  it('costs few packets while streams are open and carry nothing', async () => {
    const pair = await established();
    pair.subscriber.open().write(Buffer.from('hello'));
    await until(() => pair.events.publisher.streams.length === 1);
    await sleep(50);
    const before = pair.up.packets + pair.down.packets;
    await sleep(2000);
    // Each side asks after 250, 500 and 1000 ms at most, and is answered.
    expect(pair.up.packets + pair.down.packets - before).toBeLessThanOrEqual(12);
    pair.subscriber.close();
  });
});
