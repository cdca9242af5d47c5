import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { identityFingerprint } from '../../src/identity.ts';
import { Store } from '../../src/tunnel/store.ts';

const ALICE = Buffer.alloc(32, 1);
const MALLORY = Buffer.alloc(32, 2);
const SERVER = 'relay.example:4040';

let directory: string;
let file: string;
let store: Store;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'underpass-peers-'));
  file = join(directory, 'known-publishers.json');
  store = new Store(directory);
});

afterEach(() => rm(directory, { recursive: true }));

describe('rememberPeer', () => {
  it('tells when a publisher is another than before, once', async () => {
    expect(await store.rememberPeer(SERVER, 'game', ALICE)).toEqual({ changed: false });
    expect(await store.rememberPeer('Relay.Example:4040', 'game', ALICE)).toEqual({ changed: false });
    expect(await new Store(directory).rememberPeer(SERVER, 'game', MALLORY)).toEqual({
      changed: true,
      remembered: identityFingerprint(ALICE),
    });
    expect(await store.rememberPeer(SERVER, 'game', MALLORY)).toEqual({ changed: false });
    expect(await store.rememberPeer(SERVER, 'game', ALICE)).toMatchObject({ changed: true });
  });

  it('keeps servers and names apart', async () => {
    await store.rememberPeer(SERVER, 'game', ALICE);
    expect(await store.rememberPeer('other:4040', 'game', MALLORY)).toEqual({ changed: false });
    expect(await store.rememberPeer(SERVER, '__proto__', MALLORY)).toEqual({ changed: false });
    expect(await store.rememberPeer(SERVER, '__proto__', ALICE)).toMatchObject({ changed: true });
  });

  it('forgets nothing when many are met at once', async () => {
    const names = Array.from({ length: 20 }, (_, i) => `game-${i}`);
    await Promise.all(names.map((name) => new Store(directory).rememberPeer(SERVER, name, ALICE)));
    for (const name of names) {
      expect(await store.rememberPeer(SERVER, name, MALLORY)).toMatchObject({ changed: true });
    }
  });

  it('keeps its file to itself and leaves nothing beside it', async () => {
    await store.rememberPeer(SERVER, 'game', ALICE);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(directory)).toEqual(['known-publishers.json']);
  });

  it('remembers 4096 publishers, and forgets the first for one more', async () => {
    const identity = ALICE.toString('base64url');
    const peers = Array.from({ length: 4096 }, (_, i) => ({ server: SERVER, name: `game-${i}`, identity }));
    await writeFile(file, JSON.stringify({ version: 1, peers }));
    await store.rememberPeer(SERVER, 'one-more', ALICE);
    const kept: typeof peers = JSON.parse(await readFile(file, 'utf8')).peers;
    expect(kept).toHaveLength(4096);
    expect([kept[0]?.name, kept.at(-1)?.name]).toEqual(['game-1', 'one-more']);
  });

  it.each([
    '',
    '{',
    'null',
    '{"version":2,"peers":[]}',
    '{"version":1,"peers":{}}',
    '{"version":1,"peers":[{"server":"s","name":"n","identity":"short"}]}',
  ])('refuses a damaged file and does not touch it: %j', async (damage) => {
    await writeFile(file, damage);
    await expect(store.rememberPeer(SERVER, 'game', ALICE)).rejects.toMatchObject({
      code: 'file_unreadable',
      details: { file },
    });
    expect(await readFile(file, 'utf8')).toBe(damage);
  });

  it('goes on after a failure', async () => {
    await writeFile(file, '{');
    const failed = store.rememberPeer(SERVER, 'game', ALICE);
    const other = await mkdtemp(join(tmpdir(), 'underpass-peers-'));
    const next = new Store(other).rememberPeer(SERVER, 'game', ALICE);
    await expect(failed).rejects.toMatchObject({ code: 'file_unreadable' });
    expect(await next).toEqual({ changed: false });
    await rm(other, { recursive: true });
  });
});
