import type { Channel, ChannelOutput } from '../../src/tunnel/channel.ts';

export const header = { port: 0, channel: 1n };

/** Everything that the channel says happened. */
export function outputs(channel: Channel): ChannelOutput[] {
  const all: ChannelOutput[] = [];
  for (let output = channel.pollOutput(); output; output = channel.pollOutput()) all.push(output);
  return all;
}

/** Everything that it sends now. */
export function transmitted(channel: Channel): Buffer {
  const buffers: Buffer[] = [];
  while (channel.pending) channel.transmit(buffers);
  return Buffer.concat(buffers);
}
