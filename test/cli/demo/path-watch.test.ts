import { expect, test } from 'vitest';
import { type PathEvent, PathWatch } from '../../../src/cli/demo/path-watch.ts';

const NEVER = new AbortController().signal;

function path(more: Partial<PathEvent>): PathEvent {
  const nothing = { strategy: null, remote: null, rtt_ms: null, elapsed_ms: null, reason: null };
  return { event: 'path', target: 'a', kind: 'relayed', ...nothing, ...more };
}

/** Whether the wait is over by now. */
async function isSettled(waiting: Promise<void>): Promise<boolean> {
  return Promise.race([
    waiting.then(() => true),
    new Promise<false>((resolve) => setImmediate(resolve, false)),
  ]);
}

test('before anything is said the path is relayed', () => {
  expect(new PathWatch('a').current).toEqual(path({}));
});

test('settles when the path turns direct, through all that comes before', async () => {
  const watch = new PathWatch('a');
  const waiting = watch.settled(NEVER);
  for (const reason of ['searching', 'exhausted', 'lost', 'newer']) watch.tell(path({ reason }));
  expect(await isSettled(waiting)).toBe(false);
  watch.tell(path({ kind: 'direct', strategy: 'host' }));
  expect(await isSettled(waiting)).toBe(true);
  expect(watch.current.strategy).toBe('host');
  expect(await isSettled(watch.settled(NEVER))).toBe(true);
});

test.each(['off', 'peer-off', 'server-off', 'unsupported', 'peer-unsupported'])(
  'does not wait in vain: %s',
  async (reason) => {
    const watch = new PathWatch('a');
    watch.tell(path({ reason }));
    expect(await isSettled(watch.settled(NEVER))).toBe(true);
  },
);

test('waits no longer than it is told to', async () => {
  const watch = new PathWatch('a');
  const enough = new AbortController();
  const waiting = watch.settled(enough.signal);
  watch.tell(path({ reason: 'searching' }));
  expect(await isSettled(waiting)).toBe(false);
  enough.abort();
  expect(await isSettled(waiting)).toBe(true);
});
