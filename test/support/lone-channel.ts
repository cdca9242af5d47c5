import { Budget } from '../../src/net/budget.ts';
import { Channel, type ChannelOutput } from '../../src/tunnel/channel/channel.ts';
import { encodeDataHeader } from '../../src/tunnel/channel/channel-frame.ts';
import type { ChannelLane } from '../../src/tunnel/channel/channel-lane.ts';

export const header = { kind: 'new', port: 0, channel: 1n } as const;

/** A channel without a lane, and the accounts it is on. */
export function loneChannel({ opens = false, sendTotal = Number.POSITIVE_INFINITY } = {}) {
  const [budget, sendBudget] = [new Budget(1 << 26), new Budget(sendTotal)];
  const channel = new Channel({ opener: opens ? header : undefined, budget, sendBudget }, 0);
  return { channel, budget, sendBudget };
}

/** Everything that the channel says happened. */
export function outputs(channel: Channel): ChannelOutput[] {
  const all: ChannelOutput[] = [];
  for (let output = channel.pollOutput(); output; output = channel.pollOutput()) all.push(output);
  return all;
}

/** Everything that it sends now on a lane. */
export function transmitted(channel: Channel, lane: ChannelLane): Buffer {
  const buffers: Buffer[] = [];
  while (channel.pending(lane)) channel.transmit(lane, buffers);
  return Buffer.concat(buffers);
}

/** A DATA frame of zeros. */
export function dataFrame(length: number): Buffer {
  return Buffer.concat([encodeDataHeader(length), Buffer.alloc(length)]);
}
