import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { describe, expect, vi } from 'vitest';
import { echo, freePort, NAME, test as relayed, SECRET, type World } from '../support/e2e.ts';
import { echoInARow, UdpClient, UdpService } from '../support/e2e-datagrams.ts';
import { test as direct, directPath, NO_ROUTER, STUN } from '../support/e2e-direct.ts';
import { dnsAnswer } from '../support/e2e-dns.ts';

const RELAY = ['--mode', 'relay'];

/** A subscriber's port that leads to a service, which is spoken with in this way. */
async function tunnel(
  world: World,
  way: 'relayed' | 'direct',
  service: number,
  { protocol = 'udp', args = [] }: { protocol?: 'udp' | 'tcp+udp'; args?: readonly string[] } = {},
): Promise<number> {
  const isDirect = way === 'direct';
  const server = await world.server(isDirect ? STUN : {});
  const options = { args: [...(isDirect ? NO_ROUTER : RELAY), ...args] };
  const publisher = await world.publish(server, `${service}/${protocol}`, options);
  // One number for both, as for the service.
  const local = protocol === 'udp' ? 0 : await freePort();
  const subscriber = await world.subscribe(server, options, `${local}/${protocol}`);
  if (isDirect) await Promise.all([publisher, subscriber.program].map(directPath));
  return subscriber.port;
}

/** Sizes around what paths take, up to the most that UDP has. */
const SIZES = [0, 1, 512, 1200, 1472, 1500, 1501, 2800, 4096, 16_384, 40_000, 65_507];
const FLOWS = 1000;
/** Of flows that ask at a time. */
const AT_ONCE = 100;

describe.each([
  ['relayed', relayed],
  ['direct', direct],
] as const)('%s', (way, test) => {
  test('datagrams of every size arrive whole, both ways', async ({ world }) => {
    const service = await UdpService.echo(world);
    const client = await UdpClient.connect(world, await tunnel(world, way, service.port));
    for (const size of SIZES) {
      const question = randomBytes(size);
      const answer = await client.ask(question, ({ length }) => length === size);
      expect(answer.equals(question), `${size} bytes`).toBe(true);
    }
  });

  test('1,000 flows at once, each with its own answers', async ({ world }) => {
    const service = await UdpService.start(world, (question, { port }) =>
      Buffer.from(`${question} from ${port}`),
    );
    const port = await tunnel(world, way, service.port);
    const clients = await Promise.all(Array.from({ length: FLOWS }, () => UdpClient.connect(world, port)));
    const round = async (number: number) => {
      const answers: string[] = [];
      for (let from = 0; from < FLOWS; from += AT_ONCE) {
        const some = clients.slice(from, from + AT_ONCE).map(async (client, i) => {
          const question = `${number}, flow ${from + i}`;
          return String(await client.ask(question, (answer) => answer.includes(question)));
        });
        answers.push(...(await Promise.all(some)));
      }
      return answers;
    };
    const ports = (answers: readonly string[]) => answers.map((answer) => answer.split(' from ')[1]);
    const first = await round(1);
    expect(new Set(ports(first)).size).toBe(FLOWS);
    // Every one of them is still who it was.
    expect(ports(await round(2))).toEqual(ports(first));
    expect(service.senders.size).toBe(FLOWS);
  });

  test('an ICMP error ends neither listener nor flow', async ({ world }) => {
    const service = await UdpService.echo(world);
    const port = await tunnel(world, way, service.port);
    const client = await UdpClient.connect(world, port);
    expect(String(await client.ask('before'))).toBe('before');

    // At the publisher: nobody listens for a while.
    service.close();
    for (const text of ['into', 'the', 'void']) {
      client.send(text);
      await delay(50);
    }
    await UdpService.echo(world, service.port);
    expect(String(await client.ask('after', (answer) => String(answer) === 'after'))).toBe('after');

    // At the subscriber: an application is gone when its answer comes.
    for (const text of ['ask', 'and', 'leave']) {
      const leaver = await UdpClient.connect(world, port);
      leaver.send(text);
      leaver.close();
    }
    expect(String(await client.ask('still', (answer) => String(answer) === 'still'))).toBe('still');
    const another = await UdpClient.connect(world, port);
    expect(String(await another.ask('a new one'))).toBe('a new one');
  });
});

// How long a flow may be silent.
const IDLE_SECONDS = 2;
const IDLE = ['--udp-idle', String(IDLE_SECONDS)];

relayed('a flow that is silent is forgotten, one that speaks is not', async ({ world }) => {
  const service = await UdpService.start(world, (_, { port }) => Buffer.from(String(port)));
  const port = await tunnel(world, 'relayed', service.port, { args: IDLE });
  const [silent, busy] = [await UdpClient.connect(world, port), await UdpClient.connect(world, port)];
  const before = [String(await silent.ask('?')), String(await busy.ask('?'))];
  for (let passed = 0; passed < 2 * IDLE_SECONDS; passed += 0.5) {
    await delay(500);
    expect(String(await busy.ask('?'))).toBe(before[1]);
  }
  expect(String(await silent.ask('?'))).not.toBe(before[0]);
});

relayed('TCP and UDP on one port, side by side', async ({ world }) => {
  const tcp = await world.echoService();
  await UdpService.echo(world, tcp.port);
  const port = await tunnel(world, 'relayed', tcp.port, { protocol: 'tcp+udp' });
  const client = await UdpClient.connect(world, port);
  expect(String(await client.ask('by UDP'))).toBe('by UDP');
  expect(await echo(port, 'by TCP')).toBe('by TCP');
});

relayed('one name with a bundle of ports, one to one', async ({ world }) => {
  const tcp = await world.echoService();
  const voice = await UdpService.start(world, (question) => Buffer.from(`voice ${question}`));
  const row = await echoInARow(world, 3);
  const [first = 0, last = 0] = [row[0]?.port, row[2]?.port];
  const server = await world.server();
  const common = `server: ${server.url}\ntunnels:\n  bundle:\n    proto: p2p\n    p2p_secret: ${SECRET}\n`;
  const ports = `    ports: [${tcp.port}, ${voice.port}/udp, ${first}-${last}/udp]\n`;
  const offer = `${common}${ports}    p2p_name: ${NAME}\n    local_host: 127.0.0.1\n`;
  // The same numbers are taken on 127.0.0.1 by the services themselves.
  const wish = `${common}    ports: same\n    p2p_target: ${NAME}\n    listen: 127.0.0.2\n`;
  const start = (file: string, text: string, user: string) =>
    world.run(['start', '--json', '-c', world.file(file, text)], user);
  const publisher = start('offer.yml', offer, 'publisher');
  await publisher.event('ready', { role: 'publisher' });
  const subscriber = start('wish.yml', wish, 'subscriber');
  await subscriber.event('ready', { role: 'subscriber' });

  const ask = async (port: number, text: string) => {
    const client = await UdpClient.connect(world, port, '127.0.0.2');
    return String(await client.ask(text));
  };
  expect(await ask(voice.port, 'hello')).toBe('voice hello');
  for (const [i, { port }] of row.entries()) {
    expect(await ask(port, `number ${i}`)).toBe(`number ${i}`);
    // None of them was asked for another.
    expect(row.map(({ senders }) => senders.size)).toEqual(row.map((_, at) => (at <= i ? 1 : 0)));
  }
  expect(voice.senders.size).toBe(1);
  expect(await echo(tcp.port, 'by TCP', '127.0.0.2')).toBe('by TCP');
});

relayed('a row of ports, shifted', async ({ world }) => {
  const [there, here] = [await echoInARow(world, 3), await echoInARow(world, 3)];
  for (const service of here) service.close();
  const server = await world.server();
  const [first, last] = [there[0]?.port, there[2]?.port];
  await world.publish(server, `${first}-${last}/udp`, { args: RELAY });
  await world.subscribe(server, { args: RELAY }, `${here[0]?.port}/udp`);
  for (const [i, { port }] of here.entries()) {
    const client = await UdpClient.connect(world, port);
    expect(String(await client.ask(`number ${i}`))).toBe(`number ${i}`);
    expect(there.map(({ senders }) => senders.size)).toEqual(there.map((_, at) => (at <= i ? 1 : 0)));
  }
});

relayed.skipIf(!existsSync('/usr/bin/dig'))('dig, for answers larger than any packet', async ({ world }) => {
  const sizes = [1500, 4096, 30_000, 60_000];
  let next = 0;
  const service = await UdpService.start(world, (query) => dnsAnswer(query, next));
  const port = await tunnel(world, 'relayed', service.port);
  for (const size of sizes) {
    next = size;
    const options = ['+notcp', '+ignore', '+bufsize=65000', '+tries=3', '+time=3'];
    const argv = ['-p', String(port), '@127.0.0.1', ...options, 'TXT', 'large.test'];
    const { stdout } = await promisify(execFile)('/usr/bin/dig', argv);
    expect(stdout).toContain('status: NOERROR');
    expect(Number(/MSG SIZE {2}rcvd: (\d+)/.exec(stdout)?.[1])).toBeGreaterThanOrEqual(size);
    expect(stdout.match(/"record \d+ /g)).toHaveLength(Math.ceil(size / 268));
  }
});

const IPERF = '/usr/bin/iperf3';

describe.skipIf(!existsSync(IPERF))('iperf3 -u', () => {
  direct.for(['relayed', 'direct'] as const)('%s, both ways', async (way, { world }) => {
    const service = await freePort();
    const child = spawn(IPERF, ['-s', '--forceflush', '-B', '127.0.0.1', '-p', String(service)], {
      stdio: 'pipe',
    });
    world.onEnd(() => child.kill('SIGKILL'));
    child.stdout.setEncoding('utf8');
    let printed = '';
    child.stdout.on('data', (text: string) => {
      printed += text;
    });
    await vi.waitFor(() => expect(printed).toContain('Server listening'), 5000);
    const port = await tunnel(world, way, service, { protocol: 'tcp+udp' });
    for (const reverse of [[], ['-R']]) {
      const argv = ['-c', '127.0.0.1', '-p', String(port), '-u', '-b', '8M', '-l', '1000', '-t', '2', '-J'];
      const { stdout } = await promisify(execFile)(IPERF, [...argv, ...reverse]);
      const { packets, lost_percent, bytes } = JSON.parse(stdout).end.sum;
      expect(packets).toBeGreaterThan(1500);
      expect(bytes).toBeGreaterThan(1_500_000);
      expect(lost_percent).toBeLessThan(2);
    }
  });
});

const GAME_SERVER = '/usr/lib/minetest/minetestserver';
const GAME = '/usr/games/minetest';
const DISPLAY = '/usr/bin/xvfb-run';

/** Starts a program with everything it starts itself, to be ended with the world. */
function startGame(world: World, home: string, program: string, ...argv: readonly string[]) {
  const child = spawn(program, argv, {
    detached: true,
    stdio: 'pipe',
    env: { HOME: home, TMPDIR: home, PATH: process.env.PATH },
  });
  world.onEnd(() => {
    if (child.exitCode === null) process.kill(-(child.pid as number), 'SIGKILL');
  });
  return child;
}

// Not among what CI installs: it wants a display. Where it is there, it is a real game.
if ([GAME_SERVER, GAME, DISPLAY].every(existsSync)) {
  direct.for(['relayed', 'direct'] as const)('minetest, %s: a player joins', async (way, { world }) => {
    const file = world.file('minetest.conf', '');
    const home = dirname(file);
    const service = await freePort();
    const config = ['--config', file, '--logfile', ''];
    const place = ['--world', join(home, 'world'), '--gameid', 'minetest_game', '--port', String(service)];
    const server = startGame(world, home, GAME_SERVER, ...place, ...config);
    let printed = '';
    for (const output of [server.stdout, server.stderr]) {
      output.on('data', (text: Buffer) => {
        printed += text;
      });
    }
    const patient = { timeout: 30_000, interval: 100 };
    await vi.waitFor(() => expect(printed).toContain('listening on'), patient);
    const port = await tunnel(world, way, service);
    const there = ['--address', '127.0.0.1', '--port', String(port), '--name', 'player', '--password', ''];
    startGame(world, home, DISPLAY, '-a', GAME, '--go', ...there, ...config);
    await vi.waitFor(() => expect(printed).toMatch(/player \[127\.0\.0\.1\] joins game/), patient);
  });
}
