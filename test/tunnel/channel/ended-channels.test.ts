import { describe, expect, it } from 'vitest';
import { ResetCode } from '../../../src/tunnel/channel/channel-frame.ts';
import { EndedChannels } from '../../../src/tunnel/channel/ended-channels.ts';

describe('channels that have ended', () => {
  it('are told by how they ended; others never were', () => {
    const ended = new EndedChannels();
    ended.add(3n, undefined);
    ended.add(1n, ResetCode.serviceUnreachable);
    expect([1n, 2n, 3n, 4n].map((id) => ended.codeOf(id))).toEqual([
      ResetCode.serviceUnreachable,
      undefined,
      ResetCode.finished,
      undefined,
    ]);
  });

  it('are forgotten in the order in which they ended, but not that they were', () => {
    const ended = new EndedChannels();
    for (let id = 0n; id < 5000n; id++) ended.add(id, undefined);
    expect([ended.codeOf(0n), ended.codeOf(903n)]).toEqual([ResetCode.closed, ResetCode.closed]);
    expect([ended.codeOf(904n), ended.codeOf(4999n)]).toEqual([ResetCode.finished, ResetCode.finished]);
    expect(ended.codeOf(5000n)).toBe(undefined);
  });
});
