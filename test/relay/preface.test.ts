import { describe, expect, it } from 'vitest';
import type { ByteStream } from '../../src/carrier.ts';
import { encodePreface, type Preface, PrefacedStream } from '../../src/relay/preface.ts';
import { muxPair, Recorder } from '../support/mux-pair.ts';
import { Random } from '../support/random.ts';
import { VirtualRuntime } from '../support/virtual-runtime.ts';

const link = new Random(3).bytes(16);

/** A stream from the server; `onPreface` says what the accepting side does with it. */
function arriving(onPreface: (preface: Preface, stream: ByteStream) => void) {
  const runtime = new VirtualRuntime();
  const { client, server } = muxPair(runtime);
  server.onStream = (stream) => {
    new PrefacedStream(stream, onPreface);
  };
  const stream = client.mux.open() as ByteStream;
  runtime.advance(5);
  return { runtime, client, server, far: new Recorder(stream) };
}

describe('the preface', () => {
  it('is 16 bytes of link and one of lane', () => {
    expect(encodePreface({ link, lane: 9 })).toEqual(Buffer.concat([link, Buffer.of(9)]));
  });

  it('arrives whole however it is cut, and what follows is the stream', () => {
    const bytes = Buffer.concat([encodePreface({ link, lane: 0 }), Buffer.from('payload')]);
    for (let cut = 1; cut < bytes.length; cut++) {
      const prefaces: Preface[] = [];
      let near: Recorder | undefined;
      const { runtime, far } = arriving((preface, stream) => {
        prefaces.push(preface);
        near = new Recorder(stream);
      });
      far.stream.write(bytes.subarray(0, cut));
      runtime.advance(5);
      far.stream.write(bytes.subarray(cut));
      far.stream.end();
      runtime.advance(5);
      expect(prefaces).toEqual([{ link, lane: 0 }]);
      expect([near?.text, near?.events]).toEqual(['payload', ['end']]);
    }
  });

  it('keeps what comes until somebody attaches, reset included', () => {
    let opened: ByteStream | undefined;
    const { runtime, far, server } = arriving((_preface, stream) => {
      opened = stream;
    });
    far.stream.write(encodePreface({ link, lane: 0 }));
    for (let i = 0; i < 50; i++) far.stream.write(Buffer.alloc(10_000));
    runtime.advance(1000);
    expect(server.mux.streamCount).toBe(1);
    const near = new Recorder(opened as ByteStream);
    expect(near.received).toBeGreaterThan(200_000);
    runtime.advance(1000);
    expect(near.received).toBe(500_000);
    near.stream.write(Buffer.from('back'));
    runtime.advance(5);
    expect(far.text).toBe('back');
  });

  it('tells a late handler of a reset, and one that reset the stream nothing', () => {
    const streams: ByteStream[] = [];
    const { runtime, far } = arriving((_preface, stream) => streams.push(stream));
    far.stream.write(Buffer.concat([encodePreface({ link, lane: 0 }), Buffer.from('abc')]));
    runtime.advance(5);
    far.stream.reset();
    runtime.advance(5);
    const near = new Recorder(streams[0] as ByteStream);
    expect([near.text, near.events]).toEqual(['abc', ['reset']]);
  });

  it('stops telling a handler that resets the stream from inside', () => {
    const streams: ByteStream[] = [];
    const { runtime, far } = arriving((_preface, stream) => streams.push(stream));
    far.stream.write(encodePreface({ link, lane: 0 }));
    for (let i = 0; i < 3; i++) far.stream.write(Buffer.alloc(5000));
    far.stream.end();
    runtime.advance(5);
    const calls: string[] = [];
    streams[0]?.attach({
      onData: () => {
        calls.push('data');
        streams[0]?.reset();
      },
      onEnd: () => calls.push('end'),
      onReset: () => calls.push('reset'),
      onDrain: () => calls.push('drain'),
    });
    runtime.advance(5);
    expect(calls).toEqual(['data']);
    expect(far.events).toEqual(['reset']);
  });

  it('resets a stream that ends before it is complete', () => {
    const { runtime, far, server } = arriving(() => {
      throw new Error('there is no preface');
    });
    far.stream.write(encodePreface({ link, lane: 0 }).subarray(0, 16));
    far.stream.end();
    runtime.advance(5);
    expect(far.events).toEqual(['reset']);
    expect(server.mux.streamCount).toBe(0);
  });
});
