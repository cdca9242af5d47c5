import { describe, expect, it } from 'vitest';
import { Budget } from '../../src/net/budget.ts';
import { Channel } from '../../src/tunnel/channel.ts';
import {
  ChannelFrame,
  encodeChannelHeader,
  encodeDataHeader,
  encodeOffset,
  encodeReset,
  INITIAL_CREDIT,
  ResetCode,
} from '../../src/tunnel/channel-frame.ts';
import { header, outputs, transmitted } from '../support/lone-channel.ts';

/** A channel that has been opened by a peer. */
function accepted(budget = new Budget(1 << 26)): Channel {
  const channel = new Channel(
    { header: undefined, budget, sendBudget: new Budget(Number.POSITIVE_INFINITY) },
    0,
  );
  channel.receive(encodeChannelHeader(header));
  expect(outputs(channel)).toEqual([{ type: 'opened', header }]);
  return channel;
}

function dataFrame(length: number): Buffer {
  return Buffer.concat([encodeDataHeader(length), Buffer.alloc(length)]);
}

describe('what the peer may not do', () => {
  const credit = encodeOffset(ChannelFrame.credit, INITIAL_CREDIT + 5);
  it.each<[string, Buffer[], string]>([
    ['send beyond its credit', [dataFrame(65_536), dataFrame(1)], 'beyond the credit'],
    [
      'take credit back',
      [credit, encodeOffset(ChannelFrame.credit, INITIAL_CREDIT + 4)],
      'credit taken back',
    ],
    ['end before its last byte', [dataFrame(5), encodeOffset(ChannelFrame.fin, 4)], 'end at 4, not 5'],
    ['end behind its last byte', [dataFrame(5), encodeOffset(ChannelFrame.fin, 6)], 'end at 6, not 5'],
    ['end twice', [encodeOffset(ChannelFrame.fin, 0), encodeOffset(ChannelFrame.fin, 0)], 'end at 0'],
    ['send after its end', [encodeOffset(ChannelFrame.fin, 0), dataFrame(1)], 'data after the end'],
    ['send unknown frames', [Buffer.of(9, 0, 0, 0)], 'frame type 9'],
  ])('%s', (_name, frames, problem) => {
    const budget = new Budget(1 << 26);
    const channel = accepted(budget);
    for (const frame of frames) channel.receive(frame);
    const last = outputs(channel).at(-1);
    expect(last).toMatchObject({
      type: 'reset',
      code: ResetCode.protocolError,
      problem: expect.stringContaining(problem),
    });
    expect(transmitted(channel)).toEqual(encodeReset(ResetCode.protocolError));
    expect(budget.used).toBe(0);
  });
});

describe('a channel', () => {
  it('opens with its header, and sends within the initial credit without waiting', () => {
    const channel = new Channel(
      { header, budget: new Budget(1 << 26), sendBudget: new Budget(Number.POSITIVE_INFINITY) },
      0,
    );
    channel.write(Buffer.alloc(INITIAL_CREDIT + 1));
    expect(channel.blocked).toBe(true);
    const bytes = transmitted(channel);
    expect(bytes.subarray(0, 16)).toEqual(encodeChannelHeader(header));
    expect(bytes).toHaveLength(16 + 4 + INITIAL_CREDIT);
    expect(outputs(channel)).toEqual([{ type: 'drain' }]);
    channel.end();
    expect(transmitted(channel)).toHaveLength(0);
    channel.receive(encodeOffset(ChannelFrame.credit, INITIAL_CREDIT + 1));
    expect(transmitted(channel)).toEqual(
      Buffer.concat([dataFrame(1), encodeOffset(ChannelFrame.fin, INITIAL_CREDIT + 1)]),
    );
  });

  it('grants credit as the application consumes, as an offset that only rises', () => {
    const channel = accepted();
    channel.receive(dataFrame(INITIAL_CREDIT));
    expect(transmitted(channel)).toHaveLength(0);
    channel.consume(INITIAL_CREDIT / 2, 10_000, 10);
    expect(transmitted(channel)).toEqual(encodeOffset(ChannelFrame.credit, INITIAL_CREDIT * 1.5));
    channel.consume(INITIAL_CREDIT / 2, 20_000, 10);
    expect(transmitted(channel)).toEqual(encodeOffset(ChannelFrame.credit, INITIAL_CREDIT * 2));
  });

  it('hears nothing after the peer’s reset, not even garbage', () => {
    const channel = accepted();
    channel.receive(Buffer.concat([encodeReset(ResetCode.serviceUnreachable), Buffer.alloc(40, 0xff)]));
    expect(outputs(channel)).toEqual([{ type: 'reset', code: ResetCode.serviceUnreachable }]);
    channel.receive(Buffer.alloc(40, 0xff));
    channel.lost();
    expect(outputs(channel)).toEqual([]);
    expect(transmitted(channel)).toHaveLength(0);
  });

  it('hears nothing after it has finished, not even garbage', () => {
    const channel = accepted();
    channel.end();
    transmitted(channel);
    channel.receive(Buffer.concat([encodeOffset(ChannelFrame.fin, 0), Buffer.alloc(40, 0xff)]));
    expect(outputs(channel)).toEqual([{ type: 'end' }, { type: 'finished' }]);
  });

  it('reports nothing to a user who has reset it', () => {
    const channel = accepted();
    channel.receive(Buffer.concat([dataFrame(1), encodeOffset(ChannelFrame.fin, 1)]));
    channel.reset(ResetCode.unknownPort);
    channel.reset(ResetCode.closed);
    expect(outputs(channel)).toEqual([]);
    expect(transmitted(channel)).toEqual(encodeReset(ResetCode.unknownPort));
  });

  it('says why, when it is reset before its header has left', () => {
    const channel = new Channel(
      { header, budget: new Budget(1 << 26), sendBudget: new Budget(Number.POSITIVE_INFINITY) },
      0,
    );
    channel.write(Buffer.from('x'));
    channel.reset(ResetCode.closed);
    expect(transmitted(channel)).toEqual(Buffer.concat([encodeChannelHeader(header), encodeReset(0)]));
  });

  it('is reset with its carrier', () => {
    const channel = accepted();
    channel.lost();
    expect(outputs(channel)).toEqual([{ type: 'reset', code: ResetCode.closed }]);
  });
});

describe('what a channel holds is on the account of its link', () => {
  it('also after its end, until the application has taken it', () => {
    const budget = new Budget(1 << 26);
    const channel = accepted(budget);
    channel.receive(dataFrame(1000));
    channel.receive(encodeOffset(ChannelFrame.fin, 1000));
    channel.end();
    transmitted(channel);
    expect(outputs(channel).at(-1)).toEqual({ type: 'finished' });
    channel.consume(999, 0, 1);
    expect(budget.used).toBeGreaterThanOrEqual(1);
    channel.consume(1, 0, 1);
    expect(budget.used).toBe(0);
  });

  it('also what waits to be sent: with nothing left, a writer waits until all of its own has gone', () => {
    const budget = new Budget(1 << 26);
    const sendBudget = new Budget(100);
    const channel = new Channel({ header, budget, sendBudget }, 0);
    channel.write(Buffer.alloc(100));
    expect(channel.blocked).toBe(false);
    channel.write(Buffer.alloc(1));
    expect(channel.blocked).toBe(true);
    transmitted(channel);
    expect(outputs(channel)).toEqual([{ type: 'drain' }]);
    expect(sendBudget.used).toBe(0);
    // Beyond the credit it stays, and is given back with the channel.
    channel.write(Buffer.alloc(INITIAL_CREDIT));
    transmitted(channel);
    expect([channel.blocked, sendBudget.used]).toEqual([true, 101]);
    channel.reset(ResetCode.closed);
    expect(sendBudget.used).toBe(0);
  });
});
