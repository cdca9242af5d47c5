import { expect, test } from 'vitest';
import { catalogue, UnderpassError } from '../src/errors.ts';
import { describePathReason } from '../src/path-reason.ts';

test('the text is filled from the details; what nobody said is unknown', () => {
  const reason = describePathReason('peer-off');
  expect(new UnderpassError('direct_unavailable', { name: 'my-game', reason }).message).toBe(
    "'my-game' cannot be reached directly (the other side has asked for mode relay)",
  );
  const unsaid = new UnderpassError('direct_unavailable', { name: 'my-game' });
  expect(unsaid.message).toBe("'my-game' cannot be reached directly (unknown)");
  expect(unsaid.details).toEqual({ name: 'my-game' });
});

test('details can come from a peer: nothing that steers a terminal, and no novel', () => {
  const { message } = new UnderpassError('protocol_error', { problem: `\u001b[2J\u202e${'x'.repeat(9999)}` });
  expect(message).toContain('(?[2J?xxx');
  expect(message.length).toBeLessThan(600);
});

test('a link that cannot be direct is not tried again, and is no mistake in the command', () => {
  expect(catalogue.direct_unavailable).toMatchObject({ category: 'network', retry: false });
});
