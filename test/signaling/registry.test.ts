import { describe, expect, it } from 'vitest';
import { HOLD_TIME, MemoryRegistry } from '../../src/signaling/registry.ts';
import { Random } from '../support/random.ts';

const claimOf = (name: string, session: string, identity: string) => ({
  name,
  session,
  identity,
  secrets: [],
});

describe('MemoryRegistry', () => {
  it('gives a name to the newest claim of its identity, and to nobody else', async () => {
    const registry = new MemoryRegistry();
    expect(await registry.claim(claimOf('game', 's1', 'A'), 0)).toEqual({
      claimed: true,
      displaced: undefined,
    });
    expect(await registry.claim(claimOf('game', 's2', 'B'), 0)).toEqual({
      claimed: false,
      code: 'name_in_use',
    });
    expect(await registry.claim(claimOf('game', 's1', 'A'), 0)).toEqual({
      claimed: true,
      displaced: undefined,
    });
    expect(await registry.claim(claimOf('game', 's3', 'A'), 0)).toEqual({ claimed: true, displaced: 's1' });
    expect((await registry.lookup('game'))?.session).toBe('s3');
  });

  it('lets only the session that has a name release it', async () => {
    const registry = new MemoryRegistry();
    await registry.claim(claimOf('game', 's1', 'A'), 0);
    await registry.claim(claimOf('game', 's2', 'A'), 0);
    await registry.release('game', 's1', false, 0);
    expect(await registry.lookup('game')).toBeDefined();
    await registry.release('game', 's2', false, 0);
    expect(await registry.lookup('game')).toBeUndefined();
    expect((await registry.claim(claimOf('game', 's9', 'B'), 0)).claimed).toBe(true);
  });

  it('holds a vanished name for its identity for 60 s', async () => {
    const registry = new MemoryRegistry();
    await registry.claim(claimOf('game', 's1', 'A'), 0);
    await registry.release('game', 's1', true, 1000);
    expect(await registry.lookup('game')).toBeUndefined();
    expect((await registry.claim(claimOf('game', 's2', 'B'), 1000 + HOLD_TIME - 1)).claimed).toBe(false);
    expect((await registry.claim(claimOf('game', 's2', 'B'), 1000 + HOLD_TIME)).claimed).toBe(true);

    await registry.claim(claimOf('chess', 's1', 'A'), 0);
    await registry.release('chess', 's1', true, 1000);
    expect((await registry.claim(claimOf('chess', 's3', 'A'), 1001)).claimed).toBe(true);
    expect(registry.held).toBe(0);
  });

  it('holds and publishes no more names than it has room for', async () => {
    const registry = new MemoryRegistry(2);
    for (const name of ['a', 'b']) await registry.claim(claimOf(name, 's1', 'A'), 0);
    expect(await registry.claim(claimOf('c', 's1', 'A'), 0)).toEqual({ claimed: false, code: 'server_full' });
    for (let i = 0; i < 10; i++) {
      await registry.release('a', 's1', true, i);
      await registry.claim(claimOf(`a${i}`, 's1', 'A'), i);
      await registry.release(`a${i}`, 's1', true, i);
    }
    expect(registry.size).toBe(1);
    expect(registry.held).toBeLessThanOrEqual(3);
  });

  it('agrees with a slow model, whatever is done', async () => {
    const seed = 7;
    const random = new Random(seed);
    const registry = new MemoryRegistry();
    const model = new Map<string, { identity: string; session?: string; until: number }>();
    let now = 0;
    for (let step = 0; step < 3000; step++) {
      now += random.integer(5000);
      const name = random.pick(['a', 'b', 'c']);
      const identity = random.pick(['A', 'B']);
      const session = `${identity}${random.integer(3)}`;
      const known = model.get(name);
      const owner = known && (known.session !== undefined || known.until > now) ? known : undefined;
      if (random.integer(2) === 0) {
        const { claimed } = await registry.claim(claimOf(name, session, identity), now);
        expect(claimed, `seed ${seed}, step ${step}`).toBe(
          owner === undefined || owner.identity === identity,
        );
        if (claimed) model.set(name, { identity, session, until: 0 });
      } else {
        const hold = random.integer(2) === 0;
        await registry.release(name, session, hold, now);
        if (owner?.session === session) model.set(name, { identity, until: hold ? now + HOLD_TIME : now });
      }
      expect((await registry.lookup(name))?.session, `seed ${seed}, step ${step}`).toBe(
        model.get(name)?.session,
      );
    }
  });
});
