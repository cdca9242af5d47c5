import { expect, it } from 'vitest';
import { FlowTable } from '../../../src/tunnel/udp/flow-table.ts';
import { ensure, forSeeds } from '../../support/seeds.ts';

function goneOf(table: FlowTable<number, string>): number[] {
  const gone: number[] = [];
  for (let next = table.pollOutput(); next !== undefined; next = table.pollOutput()) gone.push(next.key);
  return gone;
}

it('lets a flow go when it has been idle since its last packet', () => {
  const table = new FlowTable<number, string>({ idle: 60_000, limit: 10 });
  expect(table.pollTimeout()).toBeUndefined();
  table.add(1, 'one', 0);
  table.add(2, 'two', 10);
  for (let now = 1000; now <= 600_000; now += 1000) {
    expect(table.touch(1, now)).toBe('one');
    table.handleTimeout(now);
  }
  expect(goneOf(table)).toEqual([2]);
  expect(table.pollTimeout()).toBe(660_000);
  table.handleTimeout(659_999);
  expect(table.size).toBe(1);
  table.handleTimeout(660_000);
  expect([goneOf(table), table.size, table.touch(1, 660_000)]).toEqual([[1], 0, undefined]);
});

it('gives up the longest idle for one more', () => {
  const table = new FlowTable<number, string>({ idle: 1000, limit: 3 });
  for (const key of [1, 2, 3]) table.add(key, '', key);
  table.touch(1, 4);
  table.add(4, '', 5);
  expect(goneOf(table)).toEqual([2]);
  table.add(4, 'again', 6);
  expect(goneOf(table)).toEqual([4]);
  table.remove(3);
  table.clear();
  expect(goneOf(table)).toEqual([3, 1, 4]);
  expect([table.evict(), table.pollTimeout()]).toEqual([false, undefined]);
});

it('is as a plain list of flows would be', () => {
  forSeeds(200, (random) => {
    const table = new FlowTable<number, string>({ idle: 50, limit: 8 });
    let model: { key: number; at: number }[] = [];
    const gone: number[] = [];
    const leave = (keys: number[]) => {
      model = model.filter(({ key }) => !keys.includes(key));
      gone.push(...keys);
    };
    let now = 0;
    for (let i = 0; i < 200; i++) {
      now += random.integer(8);
      const key = random.integer(12);
      const known = model.find((entry) => entry.key === key);
      switch (random.integer(4)) {
        case 0:
          if (known !== undefined) leave([key]);
          if (model.length >= 8) leave([(model[0] as { key: number }).key]);
          model.push({ key, at: now });
          table.add(key, '', now);
          break;
        case 1:
          leave(model.filter(({ at }) => at + 50 <= now).map((entry) => entry.key));
          table.handleTimeout(now);
          break;
        default:
          ensure((table.touch(key, now) === undefined) === (known === undefined), 'known');
          if (known !== undefined) model = [...model.filter((other) => other !== known), { key, at: now }];
      }
      ensure(table.size === model.length, 'as many');
      const first = model[0];
      ensure(table.pollTimeout() === (first && first.at + 50), 'the same timeout');
    }
    ensure(goneOf(table).join() === gone.join(), 'the same are gone');
  });
});
