import { afterEach, describe, expect, test } from 'vitest';
import { directPair } from '../../support/direct-pair.ts';
import { quiche, until } from '../../support/quic-pair.ts';

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function pair(options?: Parameters<typeof directPair>[0]) {
  const both = await directPair(options);
  closers.push(() => both.close());
  return both;
}

/** A pair that has found a direct path. */
async function met() {
  const both = await pair();
  both.server.order();
  await until(() => both.ends.every(({ link }) => link.path?.kind === 'direct'));
  return both;
}

type Pair = Awaited<ReturnType<typeof pair>>;

/** A channel that has carried something both ways. */
async function used({ open, publisher }: Pair) {
  const number = publisher.accepted.length;
  const near = open();
  near.channel.write(Buffer.from('question'));
  await until(() => publisher.accepted[number]?.text === 'question');
  publisher.accepted[number]?.channel?.write(Buffer.from('answer'));
  await until(() => near.text === 'answer');
  return near;
}

describe.skipIf(quiche === undefined)('a link of two machines that reach each other', () => {
  test('is relayed, then direct; what is on the relay stays there', async () => {
    const both = await pair();
    const { subscriber, publisher, server, ends } = both;
    const onRelay = await used(both);
    expect(ends.map(({ link }) => link.path?.kind)).toEqual(['relayed', 'relayed']);
    server.order();
    await until(() => ends.every(({ link }) => link.path?.kind === 'direct'));
    expect(ends.map(({ paths }) => paths)).toEqual([
      ['searching', 'host'],
      ['searching', 'host'],
    ]);
    expect(ends.map(({ said }) => said)).toEqual([['direct'], ['direct']]);
    const { address, port } = publisher.cable.local;
    expect(subscriber.link.path).toMatchObject({ remote: `${address}:${port}`, strategy: 'host' });
    await used(both);
    onRelay.channel.write(Buffer.from(', and more'));
    await until(() => publisher.accepted[0]?.text === 'question, and more');
    for (const { cable } of ends) cable.pulled = true;
    onRelay.channel.write(Buffer.from(', without UDP'));
    await until(() => publisher.accepted[0]?.text === 'question, and more, without UDP');
  });

  test('is over for both when one closes it, and gives its sockets back', async () => {
    for (const i of [0, 1]) {
      const both = await met();
      const near = await used(both);
      both.ends[i]?.link.close();
      await until(() => both.ends.every(({ over }) => over));
      expect([near.over.length, both.publisher.accepted[0]?.over.length]).toEqual([1, 1]);
      expect(both.ends.map(({ cable }) => cable.closed)).toEqual([true, true]);
    }
  });

  test('goes on over the relay while the path is silent, and back', async () => {
    const both = await met();
    const { subscriber, ends } = both;
    const onDirect = await used(both);
    for (const { cable } of ends) cable.pulled = true;
    const since = performance.now();
    await until(() => subscriber.link.path?.kind === 'relayed');
    // A second on a machine that has nothing else to do; three heartbeats would be 15.
    expect(performance.now() - since).toBeLessThan(3000);
    await used(both);
    for (const { cable } of ends) cable.pulled = false;
    await until(() => subscriber.link.path?.kind === 'direct');
    expect(subscriber.paths).toEqual(['searching', 'host', 'silent', 'host']);
    expect(onDirect.over).toEqual([]);
  });

  test('can find a newer path on the same sockets, and keeps the older one for what is on it', async () => {
    const both = await met();
    const { subscriber, publisher, server, ends } = both;
    const before = await used(both);
    server.order('direct');
    await until(() => ends.every(({ paths }) => paths.length === 3));
    await used(both);
    before.channel.write(Buffer.from(', and more'));
    await until(() => publisher.accepted[0]?.text === 'question, and more');
    // With its last channel it is gone; the newer one stays.
    before.channel.end();
    publisher.accepted[0]?.channel?.end();
    await until(() => before.over.length > 0);
    await used(both);
    expect([subscriber.over, publisher.over, subscriber.link.path?.kind]).toEqual([false, false, 'direct']);
    expect(subscriber.said).toEqual(['direct', 'direct', 'bytes']);
  });

  test('stays relayed where somebody else is at the other end of the path', async () => {
    const both = await pair({ impostor: true });
    both.server.order();
    await until(() => both.ends.every(({ said }) => said.length > 0));
    expect(both.ends.map(({ said }) => said)).toEqual([['failed'], ['failed']]);
    await used(both);
    expect(both.ends.map(({ paths }) => paths)).toEqual([['searching'], ['searching']]);
  });
});
