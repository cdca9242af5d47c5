import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Recorder } from '../support/mux-pair.ts';
import { established, quiche, until } from '../support/quic-pair.ts';

type Pair = Awaited<ReturnType<typeof established>>;

/** A stream on which the publisher answers each message at once; how many packets a number of round trips cost, each way. */
async function echoes(pair: Pair, count: number): Promise<[up: number, down: number]> {
  const { subscriber, events, up, down } = pair;
  const near = new Recorder(subscriber.open());
  near.stream.write(Buffer.from('?'));
  await until(() => events.publisher.streams.length === 1);
  const far = events.publisher.streams[0] as Recorder;
  far.onData = (chunk) => void far.stream.write(Buffer.from(chunk));
  await sleep(50);
  const before = [up.packets, down.packets] as const;
  for (let i = 1; i <= count; i++) {
    near.stream.write(Buffer.from('!'));
    await until(() => near.received === i);
  }
  return [up.packets - before[0], down.packets - before[1]];
}

describe.skipIf(quiche === undefined)('an acknowledgement on a QUIC carrier', () => {
  it('goes with the answer, where there is one', async () => {
    const pair = await established();
    const [up, down] = await echoes(pair, 50);
    expect(up).toBeLessThan(70);
    expect(down).toBeLessThan(70);
    pair.subscriber.close();
  });

  it('goes by itself soon where there is none, and once', async () => {
    const pair = await established();
    pair.subscriber.open().write(Buffer.from('hello'));
    await until(() => pair.events.publisher.streams.length === 1);
    await sleep(50);
    const before = pair.down.packets;
    pair.subscriber.sendDatagram(Buffer.from('?'));
    await until(() => pair.events.publisher.datagrams.length === 1);
    const at = performance.now();
    await until(() => pair.down.packets > before, 200);
    expect(performance.now() - at).toBeGreaterThan(5);
    await sleep(50);
    expect(pair.down.packets - before).toBe(1);
    pair.subscriber.close();
  });

  it('of two packets waits for nothing', async () => {
    const pair = await established();
    await sleep(50);
    const before = pair.down.packets;
    for (let i = 0; i < 4; i++) pair.subscriber.sendDatagram(Buffer.alloc(1000));
    await until(() => pair.events.publisher.datagrams.length === 4);
    const at = performance.now();
    await until(() => pair.down.packets > before, 200);
    expect(performance.now() - at).toBeLessThan(8);
    pair.subscriber.close();
  });
});
