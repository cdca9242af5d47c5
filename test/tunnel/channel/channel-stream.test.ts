import { describe, expect, it } from 'vitest';
import { Budget } from '../../../src/net/budget.ts';
import {
  ChannelFrame,
  encodeAck,
  encodeChannelHeader,
  encodeDataHeader,
  encodeOffset,
  encodePing,
  encodeReset,
  INITIAL_CREDIT,
  ResetCode,
} from '../../../src/tunnel/channel/channel-frame.ts';
import { ChannelStream, type LaneCarrier } from '../../../src/tunnel/channel/channel-stream.ts';
import { Application } from '../../support/link-pair.ts';
import { dataFrame, header } from '../../support/lone-channel.ts';
import { MemoryStream } from '../../support/memory-stream.ts';
import { forSeeds } from '../../support/seeds.ts';
import { patternAt } from '../../support/session-world.ts';
import { VirtualRuntime } from '../../support/virtual-runtime.ts';

class FakeLaneCarrier implements LaneCarrier {
  readonly kind;
  readonly rtt = 10;
  silent = false;

  constructor(kind: LaneCarrier['kind'] = 'direct') {
    this.kind = kind;
  }
}

const greeting = Buffer.concat([
  encodeChannelHeader({ ...header, kind: 'resumed' }),
  encodeAck(0, INITIAL_CREDIT),
]);
const ping = (number: number) => encodePing(ChannelFrame.ping, number);
const nothingNew = encodeAck(0, INITIAL_CREDIT);
const seek = (offset: number) => encodeOffset(ChannelFrame.seek, offset);

/** A channel's end, with what it told its link. */
function endIn(runtime: VirtualRuntime, opens: boolean, sendTotal = 1 << 26) {
  const application = new Application();
  const overs: (number | undefined)[] = [];
  const lost: LaneCarrier[] = [];
  const sendBudget = new Budget(sendTotal);
  const channel = new ChannelStream({
    opener: opens ? header : undefined,
    user: application,
    budget: new Budget(1 << 26),
    sendBudget,
    runtime,
    onOver: (code) => overs.push(code),
    onLaneLost: (carrier) => lost.push(carrier),
  });
  application.channel = channel;
  const plug = (kind: 'new' | 'resumed', carrier = new FakeLaneCarrier()) => {
    const stream = new MemoryStream();
    channel.addLane(carrier, stream, kind);
    return { carrier, stream };
  };
  return { runtime, application, channel, overs, lost, sendBudget, plug };
}

/** The opener's end with its first lane. */
function opened(sendTotal?: number) {
  const end = endIn(new VirtualRuntime(), true, sendTotal);
  const first = end.plug('new');
  expect(first.stream.sent).toEqual(encodeChannelHeader(header));
  return { ...end, first };
}

describe('a channel that moves to another carrier', () => {
  it('makes before it breaks: stays until the peer has been heard on the new one', () => {
    const { channel, plug, first } = opened();
    channel.write(Buffer.alloc(10));
    const second = plug('resumed');
    channel.prefer(second.carrier);
    expect([channel.sendingOn, second.stream.sent]).toEqual([
      first.carrier,
      Buffer.concat([greeting, ping(1)]),
    ]);
    channel.write(Buffer.alloc(5));
    expect(first.stream.sent).toHaveLength(10 + 5 + 2 * 4);
    second.stream.deliver(encodeAck(10, INITIAL_CREDIT));
    expect(channel.sendingOn).toBe(second.carrier);
    expect(second.stream.sent).toEqual(nothingNew);
    channel.write(Buffer.alloc(1));
    expect([first.stream.sent.length, second.stream.sent]).toEqual([
      0,
      Buffer.concat([seek(15), dataFrame(1)]),
    ]);
    expect(first.stream.ended || first.stream.wasReset).toBe(false);
  });

  it('does not wait where the present one is silent, also if it falls silent meanwhile', () => {
    for (const isLate of [false, true]) {
      const { channel, plug, first } = opened();
      channel.write(Buffer.alloc(10));
      first.carrier.silent = !isLate;
      const second = plug('resumed');
      channel.prefer(second.carrier);
      if (isLate) {
        expect(channel.sendingOn).toBe(first.carrier);
        first.carrier.silent = true;
        channel.prefer(second.carrier);
      }
      expect(channel.sendingOn).toBe(second.carrier);
      expect(second.stream.sent.subarray(-26)).toEqual(Buffer.concat([seek(0), dataFrame(10)]));
    }
  });

  it('does not wait either where the peer falls back to the relay: it has found what is direct silent', () => {
    const { channel, plug, first } = opened();
    channel.write(Buffer.alloc(10));
    const relay = plug('resumed', new FakeLaneCarrier('relayed'));
    channel.prefer(relay.carrier);
    expect(channel.sendingOn).toBe(relay.carrier);
    expect(relay.stream.sent.subarray(-26)).toEqual(Buffer.concat([seek(0), dataFrame(10)]));
    // The way back is another matter.
    channel.prefer(first.carrier);
    expect([channel.sendingOn, first.stream.sent.subarray(-8)]).toEqual([relay.carrier, ping(2)]);
  });

  it('acknowledges in time, whatever else it waits for', () => {
    const { channel, plug, first, runtime } = opened();
    channel.write(Buffer.alloc(10));
    const second = plug('resumed');
    channel.prefer(second.carrier);
    second.stream.deliver(nothingNew);
    runtime.advance(300);
    second.stream.deliver(Buffer.concat([seek(0), dataFrame(1)]));
    runtime.advance(100);
    expect(second.stream.sent.subarray(-20)).toEqual(encodeAck(1, INITIAL_CREDIT));
    expect(first.stream.sent).toHaveLength(14);
    // And what does not come through on the first one goes out on the second when its time has come.
    runtime.advance(600);
    expect(second.stream.sent).toEqual(Buffer.concat([seek(0), dataFrame(10)]));
  });

  it('moves to a carrier that it was told to prefer when it has a lane there', () => {
    const { channel, plug, first } = opened();
    const carrier = new FakeLaneCarrier();
    channel.prefer(carrier);
    expect([channel.sendingOn, channel.hasLane(carrier)]).toEqual([first.carrier, false]);
    const { stream } = plug('resumed', carrier);
    expect([channel.sendingOn, channel.hasLane(carrier)]).toEqual([first.carrier, true]);
    stream.deliver(nothingNew);
    expect(channel.sendingOn).toBe(carrier);
  });

  it('goes on at once where another lane is left, and tells the link of the one that is lost', () => {
    const { channel, plug, first, lost } = opened();
    channel.write(Buffer.alloc(10));
    const [silent, good] = [plug('resumed'), plug('resumed')];
    const last = plug('resumed');
    last.carrier.silent = true;
    silent.carrier.silent = true;
    first.stream.handler?.onReset();
    expect([channel.sendingOn, lost]).toEqual([good.carrier, [first.carrier]]);
    expect(good.stream.sent.subarray(-26)).toEqual(Buffer.concat([seek(0), dataFrame(10)]));
    good.stream.handler?.onEnd();
    expect([good.stream.wasReset, channel.sendingOn]).toEqual([true, last.carrier]);
    expect(lost).toEqual([first.carrier, good.carrier]);
    expect(channel.laneCount).toBe(2);
  });

  it('waits without any, keeps what it is given within the budget, and goes on with the next', () => {
    const { channel, application, plug, first, overs } = opened(50_000);
    channel.write(Buffer.alloc(10));
    first.stream.handler?.onReset();
    expect(channel.sendingOn).toBeUndefined();
    expect(channel.write(Buffer.alloc(49_990))).toBe(true);
    expect(channel.write(Buffer.alloc(1))).toBe(false);
    const { stream } = plug('resumed');
    expect(stream.sent).toHaveLength(greeting.length + 8 + 12 + 4 + 50_001);
    expect(application.drains).toBe(0);
    stream.deliver(encodeAck(1, INITIAL_CREDIT));
    expect(application.drains).toBe(1);
    expect(overs).toEqual([]);
  });

  it('takes another lane on the same carrier for the one before', () => {
    const { channel, plug, first, lost } = opened();
    channel.write(Buffer.alloc(10));
    const again = plug('resumed', first.carrier);
    expect([first.stream.wasReset, channel.laneCount, lost]).toEqual([true, 1, []]);
    expect(again.stream.sent).toEqual(Buffer.concat([greeting, ping(1), seek(0), dataFrame(10)]));
  });
});

describe('a channel on a stream', () => {
  it('writes an acknowledgement and data together, and stops while the stream is full', () => {
    const { channel, first } = opened();
    first.stream.deliver(dataFrame(32_768));
    // What is taken is granted anew, and the window, which was used up in no time, is twice as large.
    expect(first.stream.sent).toEqual(encodeAck(32_768, 32_768 + 2 * INITIAL_CREDIT));
    first.stream.roomy = false;
    channel.write(Buffer.alloc(1));
    channel.write(Buffer.alloc(2));
    first.stream.deliver(dataFrame(65_536));
    expect(first.stream.sent).toEqual(dataFrame(1));
    first.stream.roomy = true;
    first.stream.handler?.onDrain();
    const [acknowledgement, data] = [first.stream.written[0], Buffer.concat(first.stream.written.slice(1))];
    expect(acknowledgement?.readUInt32BE(0)).toBe((ChannelFrame.ack << 24) | 16);
    expect(data).toEqual(dataFrame(2));
  });

  it('acknowledges little after a tenth of a second, with one timer for all of it', () => {
    const { runtime, channel, first } = opened();
    for (let i = 0; i < 9; i++) {
      first.stream.deliver(dataFrame(1));
      runtime.advance(10);
      expect([runtime.pendingTimers, first.stream.sent.length]).toEqual([1, 0]);
    }
    runtime.advance(10);
    expect(first.stream.sent).toEqual(encodeAck(9, INITIAL_CREDIT));
    runtime.advance(1000);
    expect([runtime.pendingTimers, first.stream.sent.length]).toEqual([0, 0]);
    first.stream.deliver(dataFrame(1));
    channel.reset(ResetCode.closed);
    expect(runtime.pendingTimers).toBe(0);
  });

  it('sets no timer while there is nobody to tell', () => {
    const { runtime, channel, first, plug } = opened();
    first.stream.deliver(dataFrame(1));
    first.stream.handler?.onReset();
    runtime.advance(1000);
    expect(runtime.pendingTimers).toBe(0);
    expect(plug('resumed').stream.sent.subarray(16)).toEqual(
      Buffer.concat([encodeAck(1, INITIAL_CREDIT), ping(1)]),
    );
    expect(channel.over).toBe(false);
  });

  it('is over when all is acknowledged, and ends its streams', () => {
    const { channel, application, plug, first, overs, lost } = opened();
    const second = plug('resumed');
    channel.end();
    first.stream.deliver(Buffer.concat([encodeOffset(ChannelFrame.fin, 0)]));
    expect([application.ended, application.over, overs]).toEqual([true, [], []]);
    first.stream.deliver(encodeAck(1, INITIAL_CREDIT));
    expect([application.over, overs, channel.over]).toEqual([['finished'], [undefined], true]);
    for (const { stream } of [first, second]) {
      expect([stream.ended, stream.sent.subarray(-20)]).toEqual([true, encodeAck(1, INITIAL_CREDIT)]);
      stream.handler?.onEnd();
    }
    expect(lost).toEqual([]);
    const late = plug('resumed');
    expect(late.stream.wasReset).toBe(true);
  });

  it('tells every lane of a reset', () => {
    const { channel, application, plug, first, overs } = opened();
    const second = plug('resumed');
    channel.reset(ResetCode.serviceUnreachable);
    for (const { stream } of [first, second])
      expect([stream.ended, stream.sent.subarray(-6)]).toEqual([
        true,
        encodeReset(ResetCode.serviceUnreachable),
      ]);
    expect([application.over, overs]).toEqual([[], [ResetCode.serviceUnreachable]]);
  });

  it('stays until it has told its reset, where it has no lane', () => {
    const { channel, application, plug, first, overs } = opened();
    first.stream.handler?.onReset();
    channel.reset(ResetCode.closed);
    channel.reset(ResetCode.unknownPort);
    expect([overs, channel.over, channel.write(Buffer.alloc(1))]).toEqual([[], false, true]);
    const { stream } = plug('resumed');
    const header1 = encodeChannelHeader({ ...header, kind: 'resumed' });
    expect([stream.sent, stream.ended]).toEqual([Buffer.concat([header1, encodeReset(0)]), true]);
    expect([application.over, overs, channel.over]).toEqual([[], [ResetCode.closed], true]);
  });

  it('ends at once when it is abandoned', () => {
    const first = opened();
    first.first.stream.handler?.onReset();
    first.channel.abandon(ResetCode.closed);
    first.channel.abandon(ResetCode.closed);
    expect([first.application.over, first.overs]).toEqual([[ResetCode.closed], [ResetCode.closed]]);
    const second = opened();
    second.first.stream.handler?.onReset();
    second.channel.reset(ResetCode.unknownPort);
    second.channel.abandon(ResetCode.closed);
    expect([second.application.over, second.overs]).toEqual([[], [ResetCode.unknownPort]]);
    expect([first.sendBudget.used, second.sendBudget.used]).toEqual([0, 0]);
  });

  it('is reset with the peer’s offence', () => {
    const { application, first, overs } = opened();
    const problems: (string | undefined)[] = [];
    application.onOver = (code, problem?: string) => problems.push(`${code} ${problem}`);
    first.stream.deliver(Buffer.concat([encodeDataHeader(5), Buffer.alloc(5), Buffer.alloc(4, 0xff)]));
    expect([overs, problems]).toEqual([[4], ['4 frame type 255']]);
    expect([first.stream.sent, first.stream.ended]).toEqual([encodeReset(4), true]);
  });
});

describe('two channels over streams that come and go', () => {
  it('deliver all, and finish, wherever their users call from', () => {
    forSeeds(2000, (random) => {
      const runtime = new VirtualRuntime();
      const [near, far] = [endIn(runtime, true), endIn(runtime, false)];
      let cables: { near: MemoryStream; far: MemoryStream; from: FakeLaneCarrier; to: FakeLaneCarrier }[] =
        [];
      const plug = (kind: 'new' | 'resumed') => {
        const which = random.pick(['direct', 'relayed'] as const);
        const [from, to] = [new FakeLaneCarrier(which), new FakeLaneCarrier(which)];
        const [a, b] = [new MemoryStream(), new MemoryStream()];
        near.channel.addLane(from, a, kind);
        if (!far.channel.over) far.channel.addLane(to, b, kind);
        if (kind === 'resumed') a.written[0] = Buffer.alloc(0);
        else a.written.shift();
        cables.push({ near: a, far: b, from, to });
        if (random.integer(2) === 0) near.channel.prefer(from);
        if (random.integer(2) === 0) far.channel.prefer(to);
      };
      plug('new');
      const written = [0, 0];
      const ends = [near, far] as const;
      const carry = () => {
        for (const cable of cables) {
          for (const [here, there] of [
            [cable.near, cable.far],
            [cable.far, cable.near],
          ] as const)
            while (here.written.length > 0) there.deliver(here.written.shift() as Buffer);
        }
      };
      const cut = () => {
        const [first] = cables;
        if (first === undefined) return;
        cables = cables.slice(1);
        first.near.handler?.onReset();
        first.far.handler?.onReset();
      };
      for (let i = 0; i < 30; i++) {
        const which = random.integer(2) as 0 | 1;
        const cable = cables[random.integer(cables.length)];
        switch (random.integer(9)) {
          case 0:
            cut();
            break;
          case 6:
            if (cable !== undefined) cable.from.silent = !cable.from.silent;
            break;
          case 7:
            if (cable !== undefined) cable.to.silent = !cable.to.silent;
            break;
          case 8:
            if (cable !== undefined) near.channel.prefer(cable.from);
            break;
          case 1:
            if (cables.length < 3) plug('resumed');
            break;
          case 2:
            carry();
            break;
          case 3:
            runtime.advance(random.pick([10, 200]));
            break;
          default: {
            const chunk = patternAt(written[which] as number, random.pick([1, 3000, 40_000]));
            written[which] = (written[which] as number) + chunk.length;
            ends[which].channel.write(chunk);
          }
        }
      }
      for (const { channel } of ends) channel.end();
      if (cables.length === 0) plug('resumed');
      for (let i = 0; i < 20; i++) {
        carry();
        runtime.advance(100);
      }
      for (const [which, { application, overs, sendBudget }] of ends.entries()) {
        expect(application.received).toBe(written[1 - which]);
        expect([application.ended, application.over, overs]).toEqual([true, ['finished'], [undefined]]);
        expect(sendBudget.used).toBe(0);
      }
      expect(runtime.pendingTimers).toBe(0);
    });
  });
});
