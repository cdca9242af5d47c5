import { readdirSync, readFileSync } from 'node:fs';
import { expect, vi } from 'vitest';
import { echo, freePort, type Program } from '../support/e2e.ts';
import {
  counter,
  directPath,
  goodAndBad,
  NO_ROUTER,
  pathsOf,
  publishDirect,
  subscribeDirect,
  test,
} from '../support/e2e-direct.ts';
import type { Message } from '../support/e2e-hostile-server.ts';

test('told that there is no direct path, before anything was tried: relayed with the reason, until there is one', async ({
  world,
}) => {
  let link = '';
  const held: Message[] = [];
  const { good, bad } = await goodAndBad(world, {
    instead: (message) => {
      if (message.type === 'p2p_answer') {
        link = String(message.link);
        return [message, { type: 'p2p_relay', link, search: 2 ** 31, reason: 'made-up' }];
      }
      if (message.type !== 'p2p_step' || link === '') return undefined;
      held.push(message);
      return [];
    },
  });
  await publishDirect(world, good, (await world.echoService()).port);
  const { program, port } = await subscribeDirect(world, bad);
  await program.event('path', { kind: 'relayed', reason: 'made-up' });
  expect(await echo(port)).toBe('ping');
  await vi.waitFor(() => expect(held).not.toEqual([]), 10_000);
  for (const step of held) bad.say(step);
  await directPath(program);
  expect(await echo(port)).toBe('ping');
});

test('a direct-only link carries nothing while every step is withheld, and fails by name when the server gives up', async ({
  world,
}) => {
  let reached = 0;
  const service = await world.service(() => {
    reached += 1;
  });
  let link = '';
  const { good, bad } = await goodAndBad(world, {
    instead: (message) => {
      if (message.type === 'p2p_answer') link = String(message.link);
      return message.type === 'p2p_step' ? [] : undefined;
    },
  });
  const publisher = await publishDirect(world, good, service.port);
  const port = await freePort();
  const subscriber = world.subscriber(bad, { args: [...NO_ROUTER, '--mode', 'direct'] }, port);
  // Both handshakes of the relay carrier are over: if it was ever used, it would be now.
  await good.program.until(() => good.program.stderr.includes('link opened'), 'the link');
  await vi.waitFor(async () => {
    expect(await counter(good, 'relayed_bytes_total')).toBeGreaterThan(1500);
  }, 10_000);
  const waiting = await world.wire(port);
  waiting.send('hello');
  bad.say({ type: 'p2p_relay', link, search: 1, reason: 'made-up' });
  const error = await subscriber.event('error', { code: 'direct_unavailable', retry: false });
  expect(error.message).toBe("'my-game' cannot be reached directly (made-up)");
  expect(await subscriber.exit()).toBe(4);
  expect([pathsOf(subscriber), pathsOf(publisher), reached]).toEqual([[], [], 0]);
  expect(subscriber.events.map(({ event }) => event)).not.toContain('ready');
});

/** What a program holds, as Linux counts it; nothing elsewhere. */
function holdings({ pid }: Program): { mebibytes: number; files: number } {
  if (process.platform !== 'linux') return { mebibytes: 0, files: 0 };
  const kibibytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { mebibytes: Number(kibibytes) / 1024, files: readdirSync(`/proc/${pid}/fd`).length };
}

const STRATEGIES = ['birthday', 'sweep', 'bracket', 'host', 'a-strategy-of-tomorrow', 'hairpin'];

/** Orders that make some sense, at best: of every strategy and of none that exists, in numbers from everywhere. */
function orders(link: string, count: number, searchOf: (i: number) => number): Message[] {
  return Array.from({ length: count }, (_, i) => {
    const step = i % 3 === 0 ? 2 ** 31 - i : i;
    const strategies = [STRATEGIES[i % STRATEGIES.length] ?? ''];
    const plan = { strategies, hard: i % 2 === 0 ? 'subscriber' : 'publisher', tries: 16 };
    return [
      { type: 'p2p_step', link, search: searchOf(i), step, attempt: i, plan },
      { type: 'p2p_go', link, step },
      { type: 'p2p_go', link, step: i + 1 },
    ];
  }).flat();
}

const COUNT = 3000;

test.for([
  ['subscriber', 'a search each', (i: number) => i + 100],
  ['publisher', 'a search each', (i: number) => 2 ** 31 - i],
  ['subscriber', 'one search', () => 2 ** 30],
] as const)(
  'thousands of made-up steps for a %s, %s: hardly any is tried, and nothing suffers',
  async ([victim, , searchOf], { world }) => {
    let link = '';
    const said: string[] = [];
    const { good, bad } = await goodAndBad(world, {
      instead: (message) => {
        if (message.type === 'p2p_answer') link = String(message.link);
        if (message.type === 'p2p_result') said.push(String(message.result));
        if (message.type === 'p2p_armed') said.push('armed');
        return /^p2p_(step|go|relay|result|armed)$/.test(message.type) ? [] : undefined;
      },
    });
    const isSubscriber = victim === 'subscriber';
    const service = await world.echoService();
    const publisher = await publishDirect(world, isSubscriber ? good : bad, service.port);
    const subscriber = await subscribeDirect(world, isSubscriber ? bad : good);
    const program = isSubscriber ? subscriber.program : publisher;
    await program.event('path', { kind: 'relayed' });
    expect(await echo(subscriber.port)).toBe('ping');
    const before = holdings(program);

    for (const message of orders(link, COUNT, searchOf)) bad.say(message);
    expect(await echo(subscriber.port, 'in the middle')).toBe('in the middle');
    // Some arm, and hear nothing more.
    await vi.waitFor(() => expect(said.length).toBeGreaterThanOrEqual(COUNT - 100), 10_000);
    const tried = said.filter((result) => result === 'armed').length;
    process.stdout.write(
      `${COUNT} made-up steps: ${tried} armed for, ${JSON.stringify(holdings(program))}\n`,
    );
    expect(tried).toBeLessThan(20);
    expect(said).not.toContain('direct');
    const after = holdings(program);
    expect(after.files - before.files).toBeLessThan(300);
    expect(after.mebibytes - before.mebibytes).toBeLessThan(100);
    expect(await echo(subscriber.port)).toBe('ping');
    expect(program.events.filter(({ event }) => event === 'error')).toEqual([]);
    expect(program.stderr).not.toMatch(/error|warn/i);
  },
);

const absurd: [string, Record<string, unknown>][] = [
  ['no plan', { search: 1, step: 1, attempt: 1 }],
  ['a number below all', { search: -1, step: 1, attempt: 1, plan: { strategies: ['host'], tries: 1 } }],
  ['a number beyond all', { search: 1, step: 1e300, attempt: 1, plan: { strategies: ['host'], tries: 1 } }],
];

test('steps that make no sense end the session by name, and the connections go on', async ({ world }) => {
  let link = '';
  const { good, bad } = await goodAndBad(world, {
    instead: (message) => {
      if (message.type === 'p2p_answer') link = String(message.link);
      return message.type === 'p2p_step' ? [] : undefined;
    },
  });
  const service = await world.echoService();
  await publishDirect(world, good, service.port);
  const { program, port } = await subscribeDirect(world, bad);
  const open = await world.wire(port);
  open.send('before');
  expect(await open.read(6)).toBe('before');
  for (const [what, step] of absurd) {
    bad.say({ type: 'p2p_step', link, ...step });
    await program.event('error', { code: 'protocol_error', retry: true });
    await program.event('ready', { role: 'subscriber' });
    open.send(what);
    expect(await open.read(what.length)).toBe(what);
  }
  open.end('after');
  expect(await open.readAll()).toBe('after');
});
