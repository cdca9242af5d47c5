import { describe, expect, it } from 'vitest';
import type { ByteStream } from '../../../src/carrier.ts';
import { encodeChannelHeader, encodeReset, ResetCode } from '../../../src/tunnel/channel/channel-frame.ts';
import { readOpening, refuseLane } from '../../../src/tunnel/channel/channel-opening.ts';
import { header } from '../../support/lone-channel.ts';
import { MemoryStream } from '../../support/memory-stream.ts';
import { Recorder } from '../../support/mux-pair.ts';
import { VirtualRuntime } from '../../support/virtual-runtime.ts';

/** A stream that somebody opened, read by `readOpening`. */
function opened(onRest: (rest: ByteStream) => void) {
  const runtime = new VirtualRuntime();
  const stream = new MemoryStream();
  const headers: unknown[] = [];
  const problems: (string | undefined)[] = [];
  readOpening(
    stream,
    runtime,
    (seen, rest) => {
      headers.push(seen);
      onRest(rest);
    },
    (problem) => problems.push(problem),
  );
  return { runtime, stream, headers, problems };
}

/** The same, with the rest written down. */
function recorded() {
  const rest: Recorder[] = [];
  return { ...opened((stream) => rest.push(new Recorder(stream))), rest };
}

describe('the opening of a lane', () => {
  it('is its header, wherever the bytes are cut; the rest is a stream of its own', () => {
    const bytes = Buffer.concat([encodeChannelHeader({ ...header, kind: 'resumed' }), Buffer.from('rest')]);
    for (let cut = 1; cut < bytes.length; cut++) {
      const { runtime, stream, headers, problems, rest } = recorded();
      stream.deliver(bytes.subarray(0, cut));
      stream.deliver(bytes.subarray(cut));
      stream.deliver(Buffer.from(' and more'));
      expect(headers).toEqual([{ ...header, kind: 'resumed' }]);
      expect(rest[0]?.text).toBe('rest and more');
      expect(stream.consumed).toBe(bytes.length + 9);
      rest[0]?.stream.write(Buffer.from('answer'));
      expect(stream.sent.toString()).toBe('answer');
      stream.handler?.onDrain();
      stream.handler?.onEnd();
      expect(rest[0]?.events).toEqual(['drain', 'end']);
      expect([problems, runtime.pendingTimers]).toEqual([[], 0]);
    }
  });

  it('answers a header that it cannot read', () => {
    const { runtime, stream, problems, headers } = recorded();
    stream.deliver(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    expect(stream.sent).toEqual(encodeReset(ResetCode.protocolError));
    expect([stream.ended, headers, problems]).toEqual([true, [], ['version 71']]);
    stream.deliver(Buffer.alloc(100));
    stream.handler?.onEnd();
    expect([stream.consumed, problems.length, runtime.pendingTimers]).toEqual([118, 1, 0]);
  });

  it('does not wait for ever, nor longer than the stream lives', () => {
    const ends: ((given: ReturnType<typeof opened>) => void)[] = [
      ({ runtime }) => runtime.advance(10_000),
      ({ stream }) => stream.handler?.onEnd(),
      ({ stream }) => stream.handler?.onReset(),
    ];
    for (const end of ends) {
      const given = recorded();
      given.stream.deliver(encodeChannelHeader(header).subarray(0, 15));
      end(given);
      expect([given.headers, given.problems, given.runtime.pendingTimers]).toEqual([[], [undefined], 0]);
      given.runtime.advance(20_000);
      expect(given.problems).toHaveLength(1);
    }
  });

  it('resets a stream that nobody takes, or that its taker resets', () => {
    for (const onRest of [() => {}, (rest: ByteStream) => rest.reset()]) {
      const { stream } = opened(onRest);
      stream.deliver(Buffer.concat([encodeChannelHeader(header), Buffer.alloc(5)]));
      expect(stream.wasReset).toBe(true);
    }
  });

  it('can be refused with a reason', () => {
    const { stream } = opened((rest) => refuseLane(rest, ResetCode.finished));
    stream.deliver(Buffer.concat([encodeChannelHeader(header), Buffer.alloc(5)]));
    stream.deliver(Buffer.alloc(7));
    expect([stream.sent, stream.ended, stream.wasReset]).toEqual([
      encodeReset(ResetCode.finished),
      true,
      false,
    ]);
    expect(stream.consumed).toBe(28);
  });
});
