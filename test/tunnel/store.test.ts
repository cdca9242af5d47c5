import { X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Store, userDirectories } from '../../src/tunnel/store.ts';

let root: string;
let directory: string;
let store: Store;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'underpass-store-'));
  directory = join(root, 'state', 'underpass');
  store = new Store(directory);
});

afterEach(() => rm(root, { recursive: true }));

/** The one file that the store has made so far. */
async function onlyFile(): Promise<string> {
  const files = await readdir(directory);
  expect(files).toHaveLength(1);
  return join(directory, files[0] ?? '');
}

async function permissions(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}

describe('userDirectories', () => {
  it('are ~/.underpass', () => {
    expect(userDirectories({}, '/home/p')).toEqual({
      config: '/home/p/.underpass',
      state: '/home/p/.underpass',
    });
  });

  it('are where the XDG variables say, when they say a place', () => {
    const environment = { XDG_CONFIG_HOME: '/c', XDG_STATE_HOME: '/s' };
    expect(userDirectories(environment, '/home/p')).toEqual({
      config: '/c/underpass',
      state: '/s/underpass',
    });
    expect(userDirectories({ XDG_CONFIG_HOME: 'relative', XDG_STATE_HOME: '' }, '/home/p')).toEqual(
      userDirectories({}, '/home/p'),
    );
  });
});

describe('identities', () => {
  it('are kept, one for each server', async () => {
    const one = await store.identity('relay.example:4040');
    expect((await new Store(directory).identity('Relay.Example:4040')).publicKey).toEqual(one.publicKey);
    expect((await store.identity('relay.example:4041')).publicKey).not.toEqual(one.publicKey);
  });

  it('are for their owner only', async () => {
    await store.identity('relay.example:4040');
    expect(await permissions(directory)).toBe(0o700);
    expect(await permissions(await onlyFile())).toBe(0o600);
  });

  it('are one key for everybody who asks at once', async () => {
    const stores = Array.from({ length: 16 }, () => new Store(directory));
    const identities = await Promise.all(stores.map((each) => each.identity('relay.example:4040')));
    expect(new Set(identities.map(({ publicKey }) => publicKey.toString('hex'))).size).toBe(1);
    expect((await store.identity('relay.example:4040')).publicKey).toEqual(identities[0]?.publicKey);
    await onlyFile();
  });

  it.each(['../../escape:1', '[2001:db8::1]:4040', 'a/b\\c\0d:1', '', 'x'.repeat(500)])(
    'stay inside the directory, whatever the server is called: %#',
    async (server) => {
      await store.identity(server);
      expect(await readdir(directory)).toHaveLength(1);
      expect(await readdir(root)).toEqual(['state']);
    },
  );

  it('have files of their own even where names look alike', async () => {
    await store.identity('a/b:1');
    await store.identity('a_b:1');
    expect(await readdir(directory)).toHaveLength(2);
  });

  it('are never overwritten when damaged', async () => {
    await store.identity('relay.example:4040');
    const file = await onlyFile();
    for (const damage of ['', 'garbage', (await readFile(file, 'utf8')).slice(0, 60)]) {
      await writeFile(file, damage);
      await expect(store.identity('relay.example:4040')).rejects.toMatchObject({
        code: 'file_unreadable',
        details: { file },
      });
      expect(await readFile(file, 'utf8')).toBe(damage);
    }
  });

  it('fail by name where nothing can be read or written', async () => {
    await store.identity('relay.example:4040');
    const file = await onlyFile();
    await rm(file);
    await mkdir(file);
    await expect(store.identity('relay.example:4040')).rejects.toMatchObject({ code: 'file_unreadable' });

    // Not even root can make these.
    await expect(new Store('/dev/null/x').identity('a:1')).rejects.toMatchObject({
      code: 'file_unreadable',
    });
    await expect(new Store('/sys/underpass').identity('a:1')).rejects.toMatchObject({
      code: 'file_unwritable',
    });
  });

  it('fail by name where the file is a link to nowhere', async () => {
    await store.identity('relay.example:4040');
    const file = await onlyFile();
    await rm(file);
    await symlink(join(root, 'nowhere'), file);
    await expect(store.identity('relay.example:4040')).rejects.toMatchObject({ code: 'file_unreadable' });
  });
});

describe('the server certificate', () => {
  it('is made once and kept, with its key, for its owner only', async () => {
    const stores = [store, new Store(directory), new Store(directory)];
    const [first, ...others] = await Promise.all(stores.map((each) => each.serverCertificate()));
    for (const other of others) expect(other).toEqual(first);
    expect(await new Store(directory).serverCertificate()).toEqual(first);
    expect(new X509Certificate(first?.cert ?? '').checkHost('localhost')).toBe('localhost');
    expect(await permissions(await onlyFile())).toBe(0o600);
  });

  it('is refused when its file is damaged or holds the key of another', async () => {
    const other = await new Store(join(root, 'other')).serverCertificate();
    const { cert, key } = await store.serverCertificate();
    const file = await onlyFile();
    for (const damage of ['', cert, key, cert + other.key, cert.replace(/\n.{9}/, '\nAAAAAAAAA') + key]) {
      await writeFile(file, damage);
      await expect(store.serverCertificate()).rejects.toMatchObject({ code: 'file_unreadable' });
    }
  });
});
