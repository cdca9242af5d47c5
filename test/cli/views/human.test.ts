import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { HumanView } from '../../../src/cli/views/human.ts';
import type { TunnelAbout } from '../../../src/cli/views/view.ts';
import { UnderpassError } from '../../../src/errors.ts';
import type { TunnelEvent } from '../../../src/index.ts';
import { natReport } from '../../support/nat-report.ts';

class Page {
  text = '';
  readonly color: boolean;
  constructor(color: boolean) {
    this.color = color;
  }
  write(text: string): void {
    this.text += text;
  }
}

function watch(about: Partial<TunnelAbout> = {}, color = false) {
  const [out, err] = [new Page(color), new Page(color)];
  const view = new HumanView(out, err);
  const say = view.tunnel({
    tunnel: {
      role: 'publisher',
      key: 'k',
      options: { name: 'my-game', secret: 'hunter2', localPort: 27015 },
    },
    server: 'u.example:4040',
    serverFingerprint: undefined,
    insecure: false,
    token: false,
    label: undefined,
    ...about,
  });
  return { out, err, view, say };
}
type PathEvent = Extract<TunnelEvent, { event: 'path' }>;

const unknown = { strategy: null, remote: null, rtt_ms: null, elapsed_ms: null, reason: null } as const;
const relayed = (reason: string, more: Partial<PathEvent> = {}): PathEvent => ({
  event: 'path',
  kind: 'relayed',
  ...unknown,
  reason,
  ...more,
});
const direct = (more: Partial<PathEvent> = {}): PathEvent => ({
  event: 'path',
  kind: 'direct',
  ...unknown,
  strategy: 'bracket',
  remote: '203.0.113.9:41000',
  elapsed_ms: 412,
  rtt_ms: 42.4,
  ...more,
});

const subscriber = {
  role: 'subscriber',
  key: 'k',
  options: { target: 'my-game', secret: 'hunter2', localPort: 8000 },
} as const;

test('a publisher learns what its friend has to type, and who comes and goes', () => {
  const { out, say } = watch();
  say({ event: 'ready', role: 'publisher', name: 'my-game' });
  const peer = {
    event: 'peer',
    name: 'my-game',
    peer: '7f3a',
    identity: '3f2a-91bc',
    address: '192.0.2.7',
    address_claimed: true,
  } as const;
  const traffic = { seconds: 754, bytes_in: 2048, bytes_out: 3_500_000 };
  say({ ...peer, action: 'joined' });
  say(relayed('searching', { peer: '7f3a', rtt_ms: 23.4 }));
  say(direct({ peer: '7f3a' }));
  say({ ...peer, action: 'left', address: '203.0.113.9', address_claimed: false, ...traffic });
  say({ ...peer, action: 'refused' });
  say({ event: 'ready', role: 'publisher', name: 'my-game' });
  say({ event: 'closed', name: 'my-game' });
  expect(out.text).toBe(`Published: localhost:27015 is now 'my-game'.

  A friend runs
    underpass p2p 27015 --target my-game --secret '<your secret>' --server u.example:4040
  and connects to localhost:27015

Waiting for friends. Press Ctrl-C to stop.
Joined: friend 7f3a from 192.0.2.7 (says the server), key 3f2a-91bc
Path to friend 7f3a: relayed by the server (while a direct path is looked for), end-to-end encrypted, round trip 23 ms
Path to friend 7f3a: direct (bracket), 203.0.113.9:41000, found after 0.4 s, end-to-end encrypted, round trip 42 ms
Left: friend 7f3a after 12 min, 2.0 KiB in, 3.3 MiB out
Refused: key 3f2a-91bc from 192.0.2.7 (says the server)
Connected again: 'my-game' works.
Closed 'my-game'.
`);
});

test('what the friend types includes how to trust the server, and no secret', () => {
  const { out, say } = watch({ serverFingerprint: 'ab:cd', insecure: true, token: true, server: "a b'c" });
  say({ event: 'ready', role: 'publisher', name: 'my-game' });
  expect(out.text).toContain(
    `--server 'a b'\\''c' --server-fingerprint ab:cd --insecure --token '<server token>'\n`,
  );
  expect(out.text).not.toContain('hunter2');
});

test('a subscriber learns where to connect', () => {
  const { out, say } = watch({ tunnel: subscriber, label: 'connect' });
  say({ event: 'waiting', target: 'my-game' });
  say({ event: 'ready', role: 'subscriber', target: 'my-game', listen: '127.0.0.1:8000' });
  say({ event: 'path', target: 'my-game', kind: 'direct', ...unknown });
  expect(
    out.text,
  ).toBe(`[connect] Nobody publishes 'my-game' yet. Waiting; it connects as soon as somebody does.
[connect] Connected: 'my-game' is now at 127.0.0.1:8000
[connect] Connect your program there. Press Ctrl-C to stop.
[connect] Path to 'my-game': direct, end-to-end encrypted
`);
});

test('a direct path that is lost and found again reads as one story', () => {
  const { out, say } = watch({ tunnel: subscriber });
  const target = 'my-game';
  say(relayed('searching', { target, rtt_ms: 8.04 }));
  say(direct({ target }));
  say(relayed('silent', { target }));
  say(direct({ target, elapsed_ms: null }));
  say(relayed('lost', { target }));
  say(direct({ target, strategy: 'host', elapsed_ms: 38, rtt_ms: 0.31 }));
  expect(out.text.replaceAll(', end-to-end encrypted', '').replaceAll("Path to 'my-game': ", '')).toBe(
    `relayed by the server (while a direct path is looked for), round trip 8 ms
direct (bracket), 203.0.113.9:41000, found after 0.4 s, round trip 42 ms
relayed by the server (the direct path is silent at the moment)
direct again (bracket), 203.0.113.9:41000, round trip 42 ms
relayed by the server (the direct path was lost; another one is looked for)
direct again (host), 203.0.113.9:41000, found after 38 ms, round trip 0.3 ms
`,
  );
});

test('each friend of a publisher has a path of its own', () => {
  const { out, say } = watch();
  const someone = {
    event: 'peer',
    name: 'my-game',
    identity: '1',
    address: '192.0.2.7',
    address_claimed: true,
  } as const;
  const traffic = { seconds: 1, bytes_in: 0, bytes_out: 0 };
  say(direct({ peer: 'one' }));
  say(direct({ peer: 'two' }));
  say({ ...someone, action: 'left', peer: 'two', ...traffic });
  say(direct({ peer: 'one', elapsed_ms: 1 }));
  say(direct({ peer: 'two' }));
  expect(out.text.match(/friend .* \(bracket\)/g)).toEqual([
    'friend one: direct (bracket)',
    'friend two: direct (bracket)',
    'friend one: direct again (bracket)',
    'friend two: direct (bracket)',
  ]);
});

test.each([
  ['server-off', 'the server keeps everybody relayed'],
  ['unpredictable', 'both NATs keep changing ports, too many to guess'],
  ['what-a-newer-server-says', 'what-a-newer-server-says'],
  ['constructor', 'constructor'],
])('why a link is relayed: %s', (reason, sentence) => {
  const { out, say } = watch({ tunnel: subscriber });
  say(relayed(reason, { target: 'my-game' }));
  expect(out.text).toBe(`Path to 'my-game': relayed by the server (${sentence}), end-to-end encrypted\n`);
});

test('a demo tells the path, and what it has shown', () => {
  const { out, view } = watch();
  view.show(direct({ strategy: 'host', remote: '127.0.0.1:41000', rtt_ms: 0.4 }));
  const verified = { event: 'verified', files: 3, bytes: 2048 } as const;
  view.show({ ...verified, paths: ['relayed', 'direct'], reason: null });
  view.show({ ...verified, paths: ['relayed'], reason: 'unsupported' });
  view.show({ ...verified, paths: ['relayed'], reason: 'searching' });
  expect(
    out.text,
  ).toBe(`Path: direct (host), 127.0.0.1:41000, found after 0.4 s, end-to-end encrypted, round trip 0.4 ms

It works: 3 files, each relayed and direct, 2.0 KiB, all as published.

It works: 3 files, 2.0 KiB, all as published.
Everything was relayed: no QUIC for this platform.

It works: 3 files, 2.0 KiB, all as published.
Everything was relayed: no direct path was found in time.
`);
});

test('a problem that repeats is told once; the end of it too', () => {
  const { out, err, say } = watch();
  const { code, message, hint } = new UnderpassError('server_lost');
  for (let i = 0; i < 5; i++) say({ event: 'error', code, message, hint, retry: true });
  say({ event: 'ready', role: 'publisher', name: 'my-game' });
  say({ event: 'error', code, message, hint, retry: false });
  expect(err.text).toBe(`Problem: the connection to the server was lost. Trying again.
  underpass connects again by itself.
Error: the connection to the server was lost
  underpass connects again by itself.
`);
  expect(out.text).toContain('Published:');
});

test('a changed identity cannot be overlooked', () => {
  const { err, say } = watch({ tunnel: subscriber });
  say({ event: 'identity_changed', target: 'my-game', remembered: '1111-2222', seen: '3333-4444' });
  expect(err.text).toContain("WARNING: 'my-game' is published by somebody else than last time.");
  expect(err.text).toContain('key last time  1111-2222\n  key now        3333-4444\n');
});

test('the network is told once for all tunnels, and again when it has changed', () => {
  const { out, view, say } = watch({ label: 'one' });
  const other = view.tunnel({
    tunnel: subscriber,
    server: 'u.example:4040',
    serverFingerprint: undefined,
    insecure: false,
    token: false,
    label: 'two',
  });
  const home = { event: 'nat', ...natReport() } as const;
  let elapsed = 900;
  for (const tell of [say, other, say]) tell({ ...home, elapsed_ms: elapsed++ });
  for (const tell of [say, other]) tell({ ...home, public_address: '203.0.113.9' });
  expect(out.text).toBe(
    ['198.51.100.7', '203.0.113.9']
      .map(
        (address) =>
          `Network: port-restricted cone, public address ${address}; allows direct play with most friends.\n`,
      )
      .join(''),
  );
});

test('nothing from the network can steer the terminal', () => {
  const { out, say } = watch();
  const evil = '\u001b[2J\u202e\r\n';
  say({
    event: 'peer',
    action: 'joined',
    name: 'my-game',
    peer: evil,
    identity: evil,
    address: evil,
    address_claimed: false,
  });
  const status = {
    peer: evil,
    identity: evil,
    address: evil,
    address_claimed: true,
    kind: 'direct',
  } as const;
  const figures = { strategy: evil, seconds: 3, bytes_in: 0, bytes_out: 0, connections: 0, flows: 0 };
  say({ event: 'peers', name: 'my-game', peers: [{ ...status, ...figures }] });
  say(direct({ peer: evil, strategy: evil, remote: evil, rtt_ms: null }));
  say(relayed(evil));
  expect(out.text).toBe(`Joined: friend ?[2J??? from ?[2J???, key ?[2J???
1 friend of 'my-game':
  ?[2J???, direct (?[2J???), ?[2J??? (says the server), for 3 s, 0 bytes in, 0 bytes out, 0 TCP, 0 UDP, key ?[2J???
Path to friend ?[2J???: direct (?[2J???), ?[2J???, found after 0.4 s, end-to-end encrypted
Path to 'my-game': relayed by the server (?[2J???), end-to-end encrypted
`);
});

test('colours only where they are wanted, and the words are the same', () => {
  const [plain, colourful] = [watch({}, false), watch({}, true)];
  for (const { say, view } of [plain, colourful]) {
    say({ event: 'ready', role: 'publisher', name: 'my-game' });
    view.error(new UnderpassError('invalid_secret'));
    view.show({ event: 'warning', message: 'careful' });
  }
  expect(colourful.out.text).not.toBe(plain.out.text);
  expect(stripVTControlCharacters(colourful.out.text)).toBe(plain.out.text);
  expect(stripVTControlCharacters(colourful.err.text)).toBe(plain.err.text);
});

test('a server says how to reach it', () => {
  const { out, view } = watch();
  const ready = { event: 'ready', role: 'server' } as const;
  const stun = { addresses: [], ports: [3478, 3479] };
  view.show({ ...ready, listen: 'wss://0.0.0.0:4040', fingerprint: 'abcd', stun });
  expect(out.text).toContain('\n  STUN on 3478/udp and 3479/udp: open these in the firewall, too\n');
  view.show({ ...ready, listen: 'ws://127.0.0.1:8080', fingerprint: null, stun: null });
  expect(out.text.match(/STUN/g)).toHaveLength(1);
  expect(out.text).toContain('certificate fingerprint (SHA-256)  abcd\n');
  expect(out.text).toContain('--server <this machine>:4040 --server-fingerprint abcd\n');
  expect(out.text).toContain('--server ws://127.0.0.1:8080\n');
});

test('a bundle of ports, on both sides', () => {
  const published = watch({
    tunnel: {
      role: 'publisher',
      key: 'k',
      options: {
        name: 'my-game',
        secret: 's',
        localHost: '10.0.0.7',
        ports: [25565, '24454/udp', '27015-27020/udp'],
      },
    },
  });
  published.say({ event: 'ready', role: 'publisher', name: 'my-game' });
  expect(published.out.text).toContain(
    "Published: 10.0.0.7:25565, 24454/udp, 27015-27020/udp is now 'my-game'.",
  );
  expect(published.out.text).toContain('underpass p2p same --target my-game');
  expect(published.out.text).toContain('and connects to the same ports of localhost\n');

  const reached = watch({ tunnel: subscriber });
  const port = (n: number) => ({ port: n, protocol: 'udp', listen: `127.0.0.1:${n}` }) as const;
  const ports = Array.from({ length: 23 }, (_, i) => port(27015 + i));
  const ready = { event: 'ready', role: 'subscriber', target: 'my-game' } as const;
  reached.say({ ...ready, listen: '127.0.0.1:27015', ports });
  expect(reached.out.text).toContain(`now at 127.0.0.1:27015
  27015/udp at 127.0.0.1:27015
  27016/udp at 127.0.0.1:27016
`);
  expect(reached.out.text).toContain('\n  27034/udp at 127.0.0.1:27034\n  and 3 more\nConnect');
});

test('who is connected', () => {
  const { out, say } = watch();
  const figures = { seconds: 11_100, bytes_in: 3_500_000, bytes_out: 12, connections: 2, flows: 1 };
  const one = {
    peer: 'AAAA',
    identity: '1-2',
    address: '203.0.113.9',
    address_claimed: false,
    kind: 'direct',
  } as const;
  const other = { ...one, peer: 'BBBB', address_claimed: true, kind: null, strategy: null } as const;
  const both = [
    { ...one, strategy: 'bracket', ...figures },
    { ...other, ...figures, seconds: 59 },
  ];
  say({ event: 'peers', name: 'my-game', peers: both });
  say({ event: 'peers', name: 'my-game', peers: [] });
  expect(out.text).toBe(`2 friends of 'my-game':
  AAAA, direct (bracket), 203.0.113.9, for 3 h 5 min, 3.3 MiB in, 12 bytes out, 2 TCP, 1 UDP, key 1-2
  BBBB, away, 203.0.113.9 (says the server), for 59 s, 3.3 MiB in, 12 bytes out, 2 TCP, 1 UDP, key 1-2
Nobody is connected to 'my-game'.
`);
});
