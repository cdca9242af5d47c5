import { describe, expect, it } from 'vitest';
import type { Channel } from '../../../src/tunnel/channel/channel.ts';
import {
  ChannelFrame,
  encodeAck,
  encodeChannelHeader,
  encodeOffset,
  encodePing,
  encodeReset,
  INITIAL_CREDIT,
  ResetCode,
} from '../../../src/tunnel/channel/channel-frame.ts';
import { dataFrame, header, loneChannel, outputs, transmitted } from '../../support/lone-channel.ts';

const fin = (offset: number) => encodeOffset(ChannelFrame.fin, offset);
const seek = (offset: number) => encodeOffset(ChannelFrame.seek, offset);
const ping = (question: number) => encodePing(ChannelFrame.ping, question);
const pong = (question: number) => encodePing(ChannelFrame.pong, question);

/** A channel of either side with its first lane, and nothing on it yet. */
function onLane(options: { opens?: boolean; sendTotal?: number } = {}) {
  const lone = loneChannel(options);
  const lane = lone.channel.addLane('new');
  const first = transmitted(lone.channel, lane);
  expect(first).toEqual(options.opens ? encodeChannelHeader(header) : Buffer.alloc(0));
  const receive = (...frames: Buffer[]) => {
    for (const frame of frames) lone.channel.receive(lane, frame, 0);
  };
  return { ...lone, lane, receive };
}

function types(channel: Channel): string[] {
  return outputs(channel).map(({ type }) => type);
}

describe('what the peer may not do', () => {
  it.each<[string, Buffer[], string]>([
    ['send beyond its credit', [dataFrame(65_536), dataFrame(1)], 'beyond the credit'],
    ['end before its last byte', [dataFrame(5), fin(4)], 'end at 4, not 5'],
    ['end behind its last byte', [dataFrame(5), fin(6)], 'end at 6, not 5'],
    ['end a second time elsewhere', [fin(0), fin(1)], 'end at 1'],
    ['end where the lane is not', [dataFrame(5), seek(2), fin(5)], 'end at 5'],
    ['end for a second time before its last byte', [dataFrame(5), fin(5), seek(3), fin(3)], 'end at 3'],
    ['send after its end', [fin(0), dataFrame(1)], 'data after the end'],
    ['send past its end', [dataFrame(2), fin(2), seek(0), dataFrame(3)], 'data after the end'],
    ['send beyond its credit, ahead of a gap', [seek(1), dataFrame(65_536)], 'beyond the credit'],
    ['end beyond its credit', [seek(65_537), fin(65_537)], 'end beyond the credit'],
    ['leave a second gap', [seek(5), dataFrame(5), seek(11), dataFrame(1)], 'a second gap'],
    ['leave another gap before the first', [seek(5), dataFrame(5), seek(4), dataFrame(3)], 'a second gap'],
    ['end before what came ahead of a gap', [seek(5), dataFrame(5), seek(9), fin(9)], 'end at 9, not 10'],
    ['end twice, ahead of a gap', [seek(5), fin(5), seek(6), fin(6)], 'end at 6, not 5'],
    ['send past an end that is ahead of a gap', [seek(5), fin(5), seek(0), dataFrame(6)], 'after the end'],
    ['answer what was not asked', [pong(1)], 'no question'],
    ['answer nothing', [pong(0)], 'no question'],
    ['acknowledge what was not sent', [encodeAck(1, 100_000)], '1 bytes acknowledged of 0'],
    ['say that it has finished', [encodeReset(ResetCode.finished)], 'finished before'],
    ['send unknown frames', [Buffer.of(9, 0, 0, 0)], 'frame type 9'],
  ])('%s', (_name, frames, problem) => {
    const { channel, lane, receive, budget } = onLane();
    receive(...frames);
    const last = outputs(channel).at(-1);
    expect(last).toMatchObject({
      type: 'reset',
      code: ResetCode.protocolError,
      problem: expect.stringContaining(problem),
    });
    expect(transmitted(channel, lane)).toEqual(encodeReset(ResetCode.protocolError));
    expect(budget.used).toBe(0);
  });

  it('acknowledge more than its bytes, or an end that has not been sent', () => {
    for (const [ends, received] of [
      [false, 6],
      [true, 7],
    ] as const) {
      const { channel, lane, receive } = onLane();
      channel.write(Buffer.from('hello'));
      if (ends) channel.end();
      transmitted(channel, lane);
      receive(encodeAck(received, INITIAL_CREDIT));
      expect(outputs(channel)).toMatchObject([{ type: 'reset', code: ResetCode.protocolError }]);
    }
  });

  it('send on one more lane before it has said from where', () => {
    for (const frame of [dataFrame(1), fin(0)]) {
      const { channel } = onLane();
      channel.receive(channel.addLane('resumed'), frame, 0);
      expect(outputs(channel)).toMatchObject([{ type: 'reset', code: ResetCode.protocolError }]);
    }
  });
});

describe('a channel', () => {
  it('opens with its header, and sends within the initial credit without waiting', () => {
    const { channel } = loneChannel({ opens: true });
    channel.write(Buffer.alloc(INITIAL_CREDIT + 1));
    expect(channel.blocked).toBe(true);
    const lane = channel.addLane('new');
    const bytes = transmitted(channel, lane);
    expect(bytes.subarray(0, 16)).toEqual(encodeChannelHeader(header));
    expect(bytes).toHaveLength(16 + 4 + INITIAL_CREDIT);
    expect(outputs(channel)).toEqual([{ type: 'drain' }]);
    channel.end();
    expect(transmitted(channel, lane)).toHaveLength(0);
    channel.receive(lane, encodeAck(0, INITIAL_CREDIT + 1), 0);
    expect(transmitted(channel, lane)).toEqual(Buffer.concat([dataFrame(1), fin(INITIAL_CREDIT + 1)]));
  });

  it('grants credit as the application consumes, and takes none back', () => {
    const { channel, lane, receive } = onLane();
    receive(dataFrame(INITIAL_CREDIT));
    expect(transmitted(channel, lane)).toEqual(encodeAck(INITIAL_CREDIT, INITIAL_CREDIT));
    channel.consume(INITIAL_CREDIT / 2, 10_000, 10);
    expect(transmitted(channel, lane)).toEqual(encodeAck(INITIAL_CREDIT, INITIAL_CREDIT * 1.5));
    const other = onLane();
    other.channel.write(Buffer.alloc(INITIAL_CREDIT + 5));
    other.receive(encodeAck(0, INITIAL_CREDIT + 5), encodeAck(0, 3));
    expect(transmitted(other.channel, other.lane)).toHaveLength(INITIAL_CREDIT + 5 + 2 * 4);
  });

  it('is over when both ends are acknowledged, and not before', () => {
    const { channel, lane, receive } = onLane();
    channel.end();
    transmitted(channel, lane);
    receive(fin(0));
    expect(types(channel)).toEqual(['end']);
    expect(transmitted(channel, lane)).toEqual(encodeAck(1, INITIAL_CREDIT));
    receive(encodeAck(1, INITIAL_CREDIT));
    expect(types(channel)).toEqual(['finished']);
    // The peer has been told already.
    expect(transmitted(channel, lane)).toHaveLength(0);
  });

  it('hears nothing after the peer’s reset, not even garbage', () => {
    const { channel, lane, receive } = onLane();
    receive(Buffer.concat([encodeReset(ResetCode.serviceUnreachable), Buffer.alloc(40, 0xff)]));
    expect(outputs(channel)).toEqual([{ type: 'reset', code: ResetCode.serviceUnreachable }]);
    receive(Buffer.alloc(40, 0xff));
    channel.removeLane(lane);
    channel.abandon(ResetCode.closed);
    expect(outputs(channel)).toEqual([]);
    expect(transmitted(channel, lane)).toHaveLength(0);
  });

  it('hears nothing after it has finished, not even garbage', () => {
    const { channel, lane, receive } = onLane();
    channel.end();
    transmitted(channel, lane);
    receive(Buffer.concat([encodeAck(1, INITIAL_CREDIT), fin(0), Buffer.alloc(40, 0xff)]));
    expect(types(channel)).toEqual(['end', 'finished']);
    expect(transmitted(channel, lane)).toEqual(encodeAck(1, INITIAL_CREDIT));
  });

  it('reports nothing to a user who has reset it', () => {
    const { channel, lane, receive } = onLane();
    receive(dataFrame(1), fin(1));
    channel.reset(ResetCode.unknownPort);
    channel.reset(ResetCode.closed);
    channel.abandon(ResetCode.closed);
    expect(outputs(channel)).toEqual([]);
    expect(transmitted(channel, lane)).toEqual(encodeReset(ResetCode.unknownPort));
  });

  it('says why, when it is reset before its header has left', () => {
    const { channel } = loneChannel({ opens: true });
    channel.write(Buffer.from('x'));
    const lane = channel.addLane('new');
    channel.reset(ResetCode.closed);
    expect(transmitted(channel, lane)).toEqual(Buffer.concat([encodeChannelHeader(header), encodeReset(0)]));
  });

  it('is reset when it is abandoned', () => {
    const { channel } = onLane();
    channel.abandon(ResetCode.closed);
    expect(outputs(channel)).toEqual([{ type: 'reset', code: ResetCode.closed }]);
  });
});

describe('acknowledgements', () => {
  it('wait for half the window or a tenth of a second, whichever is first', () => {
    const { channel, lane } = onLane();
    channel.receive(lane, dataFrame(32_767), 1000);
    channel.receive(lane, dataFrame(1), 1050);
    expect(transmitted(channel, lane)).toEqual(encodeAck(32_768, INITIAL_CREDIT));
    expect(channel.pollTimeout()).toBeUndefined();
    channel.receive(lane, dataFrame(1), 2000);
    channel.receive(lane, dataFrame(1), 2050);
    expect(channel.pending(lane)).toBe(false);
    expect(channel.pollTimeout()).toBe(2100);
    channel.handleTimeout(2099);
    expect(channel.pending(lane)).toBe(false);
    channel.handleTimeout(2100);
    expect(channel.pollTimeout()).toBeUndefined();
    expect(transmitted(channel, lane)).toEqual(encodeAck(32_770, INITIAL_CREDIT));
  });

  it('go out with data', () => {
    const { channel, lane, receive } = onLane();
    receive(dataFrame(40_000));
    channel.write(Buffer.alloc(3));
    const buffers: Buffer[] = [];
    channel.transmit(lane, buffers);
    expect(Buffer.concat(buffers)).toEqual(Buffer.concat([encodeAck(40_000, INITIAL_CREDIT), dataFrame(3)]));
    expect(channel.pending(lane)).toBe(false);
  });

  it('are repeated for bytes that come again, but not at once', () => {
    const { channel, lane, receive } = onLane();
    receive(dataFrame(40_000));
    transmitted(channel, lane);
    receive(seek(0), dataFrame(40_000));
    expect(outputs(channel)).toHaveLength(1);
    expect(channel.pending(lane)).toBe(false);
    channel.handleTimeout(100);
    expect(transmitted(channel, lane)).toEqual(encodeAck(40_000, INITIAL_CREDIT));
  });
});

describe('lanes', () => {
  it('greet with an ACK, and go on behind the one before once the peer has done so', () => {
    const { channel, lane, receive } = onLane({ opens: true });
    channel.write(Buffer.alloc(10));
    transmitted(channel, lane);
    receive(encodeAck(4, INITIAL_CREDIT));
    const other = channel.addLane('resumed');
    channel.prefer(other, false, 0);
    const greeting = Buffer.concat([
      encodeChannelHeader({ ...header, kind: 'resumed' }),
      encodeAck(0, INITIAL_CREDIT),
      ping(1),
    ]);
    expect(transmitted(channel, other)).toEqual(greeting);
    channel.write(Buffer.alloc(2));
    expect(transmitted(channel, lane)).toEqual(dataFrame(2));
    channel.write(Buffer.alloc(3));
    channel.receive(other, encodeAck(6, INITIAL_CREDIT), 0);
    expect(channel.sending).toBe(other);
    expect(transmitted(channel, other)).toEqual(
      Buffer.concat([encodeAck(0, INITIAL_CREDIT), seek(12), dataFrame(3)]),
    );
    // And back at once: it has been heard there. But the gap is still open, and there is one at a time.
    channel.prefer(lane, false, 0);
    expect(transmitted(channel, lane)).toEqual(
      Buffer.concat([encodeAck(0, INITIAL_CREDIT), ping(2), seek(6), dataFrame(9)]),
    );
    // So what is on its way on the other one comes first there, in vain.
    channel.prefer(other, false, 0);
    expect([channel.sending, transmitted(channel, other)]).toEqual([lane, ping(3)]);
    receive(encodeAck(14, INITIAL_CREDIT));
    channel.receive(other, pong(3), 0);
    expect(transmitted(channel, other)).toEqual(
      Buffer.concat([encodeAck(0, INITIAL_CREDIT), seek(14), dataFrame(1)]),
    );
    receive(encodeAck(15, INITIAL_CREDIT));
    channel.write(Buffer.alloc(1));
    expect(transmitted(channel, other)).toEqual(dataFrame(1));
    channel.write(Buffer.alloc(1));
    channel.prefer(lane, false, 0);
    expect(transmitted(channel, lane)).toEqual(ping(4));
    receive(pong(4));
    expect(transmitted(channel, lane)).toEqual(
      Buffer.concat([encodeAck(0, INITIAL_CREDIT), seek(16), dataFrame(1)]),
    );
  });

  it('take over at once where the one before is gone or doubted', () => {
    for (const isGone of [true, false]) {
      const { channel, lane } = onLane();
      channel.write(Buffer.alloc(10));
      channel.end();
      transmitted(channel, lane);
      if (isGone) channel.removeLane(lane);
      const other = channel.addLane('resumed');
      if (!isGone) channel.prefer(other, true, 0);
      expect(transmitted(channel, other)).toEqual(
        Buffer.concat([encodeAck(0, INITIAL_CREDIT), seek(0), dataFrame(10), fin(10)]),
      );
    }
  });

  it('take over when the one before goes while the peer has not been heard yet', () => {
    const { channel, lane } = onLane();
    const other = channel.addLane('resumed');
    channel.prefer(other, false, 0);
    expect(channel.sending).toBe(lane);
    channel.removeLane(lane);
    expect(channel.sending).toBe(other);
  });

  it('go on behind what another one has had acknowledged meanwhile', () => {
    const { channel, lane } = onLane();
    channel.write(Buffer.alloc(100));
    transmitted(channel, lane);
    const other = channel.addLane('resumed');
    channel.prefer(other, true, 0);
    const buffers: Buffer[] = [];
    channel.transmit(other, buffers);
    channel.write(Buffer.alloc(7));
    channel.prefer(lane, true, 0);
    channel.receive(other, encodeAck(100, INITIAL_CREDIT), 0);
    expect(transmitted(channel, lane)).toEqual(
      Buffer.concat([encodeAck(0, INITIAL_CREDIT), ping(1), dataFrame(7)]),
    );
  });

  it('may still bring an acknowledgement for more than the next one has sent again', () => {
    const { channel, lane, receive } = onLane();
    receive(encodeAck(0, 1 << 20));
    channel.write(Buffer.alloc(200_000));
    transmitted(channel, lane);
    const other = channel.addLane('resumed');
    channel.prefer(other, true, 0);
    channel.transmit(other, []);
    receive(encodeAck(200_000, 1 << 20));
    expect(types(channel)).toEqual(['drain']);
    channel.write(Buffer.alloc(1));
    expect(transmitted(channel, other)).toEqual(Buffer.concat([seek(200_000), dataFrame(1)]));
  });

  it('deliver each byte once, whichever is faster', () => {
    const { channel, receive } = onLane();
    receive(dataFrame(10));
    const other = channel.addLane('resumed');
    channel.receive(other, Buffer.concat([seek(4), dataFrame(20)]), 0);
    receive(dataFrame(30));
    channel.receive(other, dataFrame(20), 0);
    const sizes = outputs(channel).map((output) => output.type === 'data' && output.chunk.length);
    expect(sizes).toEqual([10, 14, 16, 4]);
  });

  it('hold what comes ahead of what another one still carries', () => {
    const { channel, lane, receive, budget } = onLane();
    receive(dataFrame(10));
    const other = channel.addLane('resumed');
    transmitted(channel, other);
    channel.receive(other, Buffer.concat([seek(30), dataFrame(5), dataFrame(6), seek(33), dataFrame(20)]), 0);
    channel.receive(other, fin(53), 0);
    expect(outputs(channel)).toHaveLength(1);
    channel.handleTimeout(100);
    expect(transmitted(channel, lane)).toEqual(encodeAck(10, INITIAL_CREDIT));
    receive(dataFrame(19));
    expect(outputs(channel)).toHaveLength(1);
    receive(dataFrame(4));
    const rest = outputs(channel);
    expect(rest.at(-1)).toEqual({ type: 'end' });
    const sizes = rest.map((output) => (output.type === 'data' ? output.chunk.length : 0));
    expect([sizes[0], sizes.reduce((sum, size) => sum + size)]).toEqual([4, 24]);
    expect(transmitted(channel, lane)).toEqual(encodeAck(54, INITIAL_CREDIT));
    channel.reset(ResetCode.closed);
    expect(budget.used).toBe(0);
  });

  it('send once more what is lost with the one before, or does not come through there', () => {
    for (const loss of ['gone', 'stuck'] as const) {
      const { channel, lane } = onLane();
      const other = channel.addLane('resumed');
      transmitted(channel, other);
      channel.write(Buffer.alloc(10));
      transmitted(channel, lane);
      channel.receive(other, encodeAck(0, INITIAL_CREDIT), 0);
      channel.prefer(other, false, 1000);
      channel.write(Buffer.alloc(5));
      channel.end();
      expect(transmitted(channel, other)).toEqual(
        Buffer.concat([encodeAck(0, INITIAL_CREDIT), seek(10), dataFrame(5), fin(15)]),
      );
      expect(channel.pollTimeout()).toBe(2000);
      // Some progress is no reason to wait for longer: nothing new is delivered meanwhile.
      channel.receive(other, encodeAck(3, INITIAL_CREDIT), 1500);
      expect(channel.pollTimeout()).toBe(2000);
      channel.handleTimeout(1999);
      expect(channel.pending(other)).toBe(false);
      if (loss === 'gone') channel.removeLane(lane);
      else channel.handleTimeout(2000);
      expect(channel.pollTimeout()).toBeUndefined();
      const again = transmitted(channel, other);
      expect(again.subarray(-28 - 12)).toEqual(Buffer.concat([seek(3), dataFrame(12), fin(15)]));
      // Nothing waits for the old one any more.
      channel.removeLane(lane);
      transmitted(channel, other);
      channel.handleTimeout(10_000);
      expect(channel.pending(other)).toBe(false);
    }
  });

  it('that were left in doubt are gone back to when the peer has what was sent there in vain', () => {
    const { channel, lane, receive } = onLane();
    channel.write(Buffer.alloc(10));
    transmitted(channel, lane);
    const other = channel.addLane('resumed');
    channel.prefer(other, true, 0);
    transmitted(channel, other);
    channel.prefer(lane, false, 0);
    channel.prefer(lane, false, 0);
    expect(transmitted(channel, lane)).toEqual(ping(1));
    channel.prefer(other, false, 0);
    expect(transmitted(channel, other)).toHaveLength(0);
    channel.prefer(lane, false, 0);
    receive(encodeAck(10, INITIAL_CREDIT), pong(1));
    channel.write(Buffer.alloc(1));
    expect([channel.sending, transmitted(channel, other)]).toEqual([other, dataFrame(1)]);
    expect(transmitted(channel, lane)).toEqual(ping(2));
    receive(pong(2));
    channel.write(Buffer.alloc(2));
    expect(transmitted(channel, lane)).toEqual(
      Buffer.concat([encodeAck(0, INITIAL_CREDIT), seek(11), dataFrame(2)]),
    );
    // Now it is like any other.
    channel.receive(other, encodeAck(13, INITIAL_CREDIT), 0);
    channel.prefer(other, false, 0);
    expect(channel.sending).toBe(other);
  });

  it('are gone to when the opener calls there, and not when it has called elsewhere since', () => {
    const { channel, lane, receive } = onLane();
    const other = channel.addLane('resumed');
    channel.receive(other, Buffer.concat([encodeAck(0, INITIAL_CREDIT), ping(1)]), 0);
    expect(outputs(channel)).toEqual([{ type: 'called', lane: other }]);
    receive(ping(3));
    channel.receive(other, ping(2), 0);
    expect(outputs(channel)).toEqual([{ type: 'called', lane }]);
    expect(transmitted(channel, other)).toEqual(Buffer.concat([encodeAck(0, INITIAL_CREDIT), pong(2)]));
    // Who opens channels decides where they go, and is not called.
    const opener = onLane({ opens: true });
    opener.receive(ping(1));
    expect([outputs(opener.channel), transmitted(opener.channel, opener.lane)]).toEqual([[], pong(1)]);
  });

  it('are where the opener calls when it had none', () => {
    const { channel, lane } = onLane({ opens: true });
    channel.removeLane(lane);
    const other = channel.addLane('resumed');
    expect(transmitted(channel, other).subarray(-8)).toEqual(ping(1));
  });

  it('answer the last question, whatever they are used for', () => {
    const { channel, receive } = onLane();
    const other = channel.addLane('resumed');
    transmitted(channel, other);
    channel.receive(other, Buffer.concat([ping(8), ping(9)]), 0);
    expect(transmitted(channel, other)).toEqual(pong(9));
    channel.reset(ResetCode.closed);
    receive(ping(1), pong(1));
    channel.receive(other, ping(10), 0);
    expect(transmitted(channel, other)).toEqual(encodeReset(ResetCode.closed));
  });

  it('are each told the end, so that the faster one can say it', () => {
    const { channel, lane, receive } = onLane();
    const other = channel.addLane('resumed');
    transmitted(channel, other);
    channel.end();
    transmitted(channel, lane);
    receive(encodeAck(1, INITIAL_CREDIT), fin(0));
    expect(types(channel)).toEqual(['end', 'finished']);
    for (const one of [lane, other]) expect(transmitted(channel, one)).toEqual(encodeAck(1, INITIAL_CREDIT));
  });

  it('may find that the peer has finished: it has everything', () => {
    const { channel, lane, receive } = onLane();
    channel.end();
    transmitted(channel, lane);
    receive(fin(0));
    channel.removeLane(lane);
    const other = channel.addLane('resumed');
    channel.receive(other, encodeReset(ResetCode.finished), 0);
    expect(types(channel)).toEqual(['end', 'finished']);
  });

  it('that come when it has been reset are told so', () => {
    const { channel } = loneChannel({ opens: true });
    channel.reset(ResetCode.closed);
    const lane = channel.addLane('resumed');
    expect(transmitted(channel, lane)).toEqual(
      Buffer.concat([encodeChannelHeader({ ...header, kind: 'resumed' }), encodeReset(ResetCode.closed)]),
    );
  });
});

describe('what a channel holds is on the account of its link', () => {
  it('also after its end, until the application has taken it', () => {
    const { channel, lane, receive, budget } = onLane();
    receive(dataFrame(1000), fin(1000));
    channel.end();
    transmitted(channel, lane);
    receive(encodeAck(1, INITIAL_CREDIT));
    expect(outputs(channel).at(-1)).toEqual({ type: 'finished' });
    channel.consume(999, 0, 1);
    expect(budget.used).toBeGreaterThanOrEqual(1);
    channel.consume(1, 0, 1);
    expect(budget.used).toBe(0);
  });

  it('also what is not acknowledged: with nothing left, a writer waits until all of its own is', () => {
    const { channel, lane, receive, sendBudget } = onLane({ sendTotal: 100 });
    channel.write(Buffer.alloc(100));
    expect(channel.blocked).toBe(false);
    channel.write(Buffer.alloc(1));
    transmitted(channel, lane);
    expect([channel.blocked, sendBudget.used]).toEqual([true, 101]);
    sendBudget.take(51);
    receive(encodeAck(100, INITIAL_CREDIT));
    expect([outputs(channel), sendBudget.used]).toEqual([[{ type: 'drain' }], 52]);
    channel.write(Buffer.alloc(50));
    receive(encodeAck(101, INITIAL_CREDIT));
    expect([channel.blocked, outputs(channel)]).toEqual([true, []]);
    transmitted(channel, lane);
    receive(encodeAck(151, INITIAL_CREDIT));
    expect([outputs(channel), sendBudget.used]).toEqual([[{ type: 'drain' }], 51]);
    // What is kept is given back with the channel.
    channel.write(Buffer.alloc(INITIAL_CREDIT * 2));
    transmitted(channel, lane);
    channel.reset(ResetCode.closed);
    expect(sendBudget.used).toBe(51);
  });
});
