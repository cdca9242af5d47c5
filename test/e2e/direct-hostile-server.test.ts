import { expect } from 'vitest';
import { echo, type Program } from '../support/e2e.ts';
import {
  goDirect,
  goodAndBad,
  NO_ROUTER,
  publishDirect,
  searchOver,
  subscribeDirect,
  test,
} from '../support/e2e-direct.ts';
import { editInner, type Message } from '../support/e2e-hostile-server.ts';
import { UdpEar } from '../support/e2e-udp.ts';

/** Changes where candidates lead, in a message whose MAC stays what it was. */
function diverted(message: Message, to: UdpEar): Message {
  const body = editInner(String(message.body), (inner) => {
    inner.candidates = [{ kind: 'host', address: to.address, port: to.port }];
  });
  return { ...message, body };
}

function complaints(program: Program): unknown[] {
  return program.events.filter(({ event }) => event === 'error').map(({ code }) => code);
}

test('candidates changed on one side: named once, never used, and the untouched ones lead to a direct path', async ({
  world,
}) => {
  const trap = await UdpEar.open(world);
  const { good, bad } = await goodAndBad(world, {
    instead: (message, from) => {
      if (message.type !== 'p2p_message' || from === 'client') return undefined;
      return [diverted(message, trap), diverted(message, trap), diverted(message, trap)];
    },
  });
  const service = await world.echoService();
  const { subscriber, publisher } = await goDirect(world, { publisher: good, subscriber: bad }, service.port);
  expect(await echo(subscriber.port)).toBe('ping');
  const [error] = subscriber.program.events.filter(({ event }) => event === 'error');
  expect(error).toMatchObject({ code: 'peer_unverified', message: expect.stringContaining("'my-game'") });
  expect(error?.hint).toContain('Do not trust this server');
  expect([complaints(subscriber.program), complaints(publisher)]).toEqual([['peer_unverified'], []]);
  expect(await trap.heard()).toEqual([]);
});

test('candidates changed on both sides: named once on each, relayed, and no packet goes where they lead', async ({
  world,
}) => {
  const trap = await UdpEar.open(world);
  const { bad } = await goodAndBad(world, {
    instead: (message, from) =>
      message.type === 'p2p_message' && from === 'client' ? [diverted(message, trap)] : undefined,
  });
  const publisher = await publishDirect(world, bad, (await world.echoService()).port);
  const { program: subscriber, port } = await subscribeDirect(world, bad);
  await Promise.all([searchOver(subscriber), searchOver(publisher)]);
  expect(await echo(port)).toBe('ping');
  expect([complaints(subscriber), complaints(publisher)]).toEqual([['peer_unverified'], ['peer_unverified']]);
  expect(await trap.heard()).toEqual([]);
});

test('messages said twice are named once, and do no harm', async ({ world }) => {
  const { bad } = await goodAndBad(world, {
    instead: (message, from) =>
      message.type === 'p2p_message' && from === 'client' ? [message, message, message] : undefined,
  });
  const service = await world.echoService();
  const { subscriber, publisher } = await goDirect(world, { publisher: bad, subscriber: bad }, service.port);
  expect(await echo(subscriber.port)).toBe('ping');
  for (const program of [subscriber.program, publisher]) {
    await program.until(() => complaints(program).length > 0, 'a complaint');
    expect(complaints(program)).toEqual(['peer_unverified']);
  }
});

test.for(['offer', 'answer'] as const)(
  'a fingerprint swapped in an %s: named, and the search does not even begin',
  async (where, { world }) => {
    const said: string[] = [];
    const { good, bad } = await goodAndBad(world, {
      edit: (message, from) => {
        if (from === 'client') said.push(message.type);
        const text = message[where];
        if (text === undefined) return;
        message[where] = editInner(text, (inner) => {
          inner.fingerprint = 'cd'.repeat(32);
        });
      },
    });
    await publishDirect(world, good, (await world.echoService()).port);
    const subscriber = world.subscriber(bad, { args: NO_ROUTER });
    await subscriber.event('error', { code: 'peer_unverified', retry: false });
    expect(await subscriber.exit()).toBe(3);
    expect(said).toContain('p2p_connect');
    for (const type of ['p2p_message', 'p2p_armed', 'p2p_result']) expect(said).not.toContain(type);
  },
);
