import { describe, expect, it } from 'vitest';
import { Flag, FrameType, INITIAL_WINDOW } from '../../src/relay/frame.ts';
import { accepted, outputs, payload, sent, session } from '../support/lone-session.ts';
import { frameBytes } from '../support/naive-frames.ts';

const { data, windowUpdate, ping, goAway } = FrameType;
const { syn, ack, fin, rst } = Flag;

describe('opening', () => {
  it('says SYN on a window update, and numbers streams by role', () => {
    const client = session({ role: 'client' });
    expect([client.open(0), client.open(0)]).toEqual([1, 3]);
    expect(sent(client)).toMatchObject([
      { type: windowUpdate, flags: syn, stream: 1, length: 0 },
      { type: windowUpdate, flags: syn, stream: 3, length: 0 },
    ]);
    const server = session({ role: 'server' });
    expect([server.open(0), server.open(0)]).toEqual([2, 4]);
  });

  it('sends SYNs in the order of the ids, whoever writes first', () => {
    const client = session({ role: 'client' });
    for (const _ of [1, 3, 5]) client.open(0);
    client.write(5, Buffer.from('five'));
    client.write(1, Buffer.from('one'));
    const frames = sent(client);
    expect(frames.filter(({ flags }) => flags & syn).map(({ stream }) => stream)).toEqual([1, 3, 5]);
    const server = session();
    for (const { type, flags, stream, length, payload } of frames)
      server.receive(frameBytes(type, flags, stream, length, payload.toString()), 0);
    expect(outputs(server).map(({ type }) => type)).not.toContain('closed');
  });

  it('acknowledges with the first data, or by itself when there is none', () => {
    const s = session();
    s.receive(frameBytes(windowUpdate, syn, 1, 0), 0);
    expect(outputs(s)).toEqual([{ type: 'stream', id: 1 }]);
    s.write(1, Buffer.from('hi'));
    expect(sent(s)).toMatchObject([{ type: data, flags: ack, stream: 1, length: 2 }]);
    s.receive(frameBytes(data, syn, 3, 2, 'yo'), 0);
    expect(outputs(s)).toEqual([
      { type: 'stream', id: 3 },
      { type: 'data', id: 3, chunk: Buffer.from('yo') },
    ]);
    expect(sent(s)).toMatchObject([{ type: windowUpdate, flags: ack, stream: 3, length: 0 }]);
  });

  it('does not mention a stream that was reset before anybody heard of it', () => {
    const client = session({ role: 'client' });
    client.open(0);
    client.write(1, Buffer.from('never mind'));
    client.reset(1);
    expect(sent(client)).toEqual([]);
    expect(client.open(0)).toBe(3);
  });

  it('takes a SYN with FIN and with data in one frame', () => {
    const s = session();
    s.receive(frameBytes(data, syn | fin, 1, 3, 'all'), 0);
    expect(outputs(s).map(({ type }) => type)).toEqual(['stream', 'data', 'end']);
  });

  it('refuses more than maxInbound with RST, and takes more when some are gone', () => {
    const s = session({ maxInbound: 2 });
    for (const id of [1, 3, 5]) s.receive(frameBytes(data, syn, id, 2, 'ab'), 0);
    expect(outputs(s).map((output) => ('id' in output ? [output.type, output.id] : []))).toEqual([
      ['stream', 1],
      ['data', 1],
      ['stream', 3],
      ['data', 3],
    ]);
    expect(sent(s)).toContainEqual(expect.objectContaining({ flags: rst, stream: 5 }));
    s.receive(frameBytes(data, 0, 5, 2, 'ab'), 0);
    s.receive(frameBytes(windowUpdate, rst, 1, 0), 0);
    s.receive(frameBytes(windowUpdate, syn, 7, 0), 0);
    expect(outputs(s)).toEqual([
      { type: 'reset', id: 1 },
      { type: 'stream', id: 7 },
    ]);
  });
});

describe('what the peer may not do', () => {
  it.each<[string, Buffer[], RegExp]>([
    ['reuse an id', [frameBytes(windowUpdate, syn, 1, 0)], /opening stream 1/],
    ['open with our parity', [frameBytes(windowUpdate, syn, 2, 0)], /opening stream 2/],
    ['open stream 0', [frameBytes(windowUpdate, syn, 0, 0)], /opening stream 0/],
    ['speak of streams that never were', [frameBytes(windowUpdate, 0, 9, 1)], /stream 9, which was never/],
    ['speak of streams that we never opened', [frameBytes(data, fin, 2, 0)], /stream 2, which was never/],
    ['use stream 0', [frameBytes(data, 0, 0, 1, 'x')], /stream 0, which was never/],
    ['overflow our window for it', [frameBytes(windowUpdate, 0, 1, 0xffff_ffff)], /window overflow/],
    ['send data after FIN', [frameBytes(data, fin, 1, 0), frameBytes(data, 0, 1, 1, 'x')], /after the end/],
    ['send garbage', [Buffer.alloc(12, 0xff)], /version 255/],
  ])('%s', (_name, frames, problem) => {
    const s = accepted();
    for (const frame of frames) s.receive(frame, 0);
    const last = outputs(s).at(-1);
    expect(last).toMatchObject({
      type: 'closed',
      reason: 'protocol',
      problem: expect.stringMatching(problem),
    });
    expect(sent(s)).toMatchObject([{ type: goAway, length: 1 }]);
    expect(s.streamCount).toBe(0);
  });

  it('open a stream when it may open none', () => {
    const s = session({ maxInbound: 0 });
    s.receive(frameBytes(windowUpdate, syn, 1, 0), 0);
    expect(outputs(s)).toMatchObject([{ type: 'closed', problem: expect.stringMatching(/may not open/) }]);
  });

  it('use stream 0, on a client either', () => {
    const client = session({ role: 'client' });
    client.receive(frameBytes(data, 0, 0, 1, 'x'), 0);
    expect(outputs(client)).toMatchObject([{ type: 'closed', reason: 'protocol' }]);
  });

  it('send beyond the window, even by one byte', () => {
    const s = accepted();
    s.receive(frameBytes(data, 0, 1, INITIAL_WINDOW, payload(INITIAL_WINDOW)), 0);
    expect(outputs(s)).toMatchObject([{ type: 'data', id: 1 }]);
    s.receive(frameBytes(data, 0, 1, 1, 'x'), 0);
    expect(outputs(s).at(-1)).toMatchObject({ reason: 'protocol', problem: expect.stringMatching(/beyond/) });
  });

  it('flood with streams that have to be refused', () => {
    const s = session({ maxInbound: 1 });
    let id = 1;
    for (let i = 0; i < 100 && !s.closed; i++) {
      const syns = Array.from({ length: 100 }, () => {
        id += 2;
        return frameBytes(windowUpdate, syn, id, 0);
      });
      s.receive(Buffer.concat(syns), 0);
    }
    expect(outputs(s).at(-1)).toMatchObject({
      type: 'closed',
      reason: 'protocol',
      problem: expect.stringMatching(/flood/),
    });
    expect(sent(s)).toHaveLength(1);
  });

  it('make us collect answers to its pings', () => {
    const s = session();
    for (let i = 0; i < 1000; i++) s.receive(frameBytes(ping, syn, 0, i), 0);
    const pongs = sent(s);
    expect(pongs.length).toBeLessThanOrEqual(16);
    expect(pongs.at(-1)).toMatchObject({ type: ping, flags: ack, length: 999 });
  });
});

describe('half-close and reset', () => {
  it('sends FIN behind the data and keeps reading', () => {
    const s = accepted();
    s.write(1, Buffer.from('bye'));
    s.end(1);
    s.write(1, Buffer.from('too late'));
    expect(sent(s)).toMatchObject([{ type: data, flags: fin, length: 3 }]);
    s.receive(frameBytes(data, 0, 1, 2, 'hi'), 0);
    s.receive(frameBytes(windowUpdate, fin, 1, 0), 0);
    expect(outputs(s).map(({ type }) => type)).toEqual(['data', 'end', 'finished']);
    expect(s.streamCount).toBe(0);
  });

  it('sends a FIN that has no data on a window update, without any window', () => {
    const s = accepted();
    s.write(1, Buffer.alloc(INITIAL_WINDOW));
    sent(s);
    s.end(1);
    expect(sent(s)).toMatchObject([{ type: windowUpdate, flags: fin, length: 0 }]);
  });

  it('drops what comes for finished streams, window updates and resets too', () => {
    const s = accepted();
    s.reset(1);
    expect(sent(s)).toMatchObject([{ flags: rst, stream: 1 }]);
    for (const flags of [0, fin, rst]) s.receive(frameBytes(data, flags, 1, 3, 'abc'), 0);
    s.receive(frameBytes(windowUpdate, 0, 1, 5000), 0);
    expect(outputs(s)).toEqual([]);
    expect(sent(s)).toEqual([]);
  });

  it('forgets the rest of a payload whose stream is reset while it arrives', () => {
    const s = accepted({ maxInbound: 1 });
    s.end(1);
    sent(s);
    const frame = frameBytes(data, fin, 1, 10, '0123456789');
    s.receive(frame.subarray(0, 16), 0);
    s.reset(1);
    s.receive(frame.subarray(16), 0);
    expect(outputs(s).filter(({ type }) => type !== 'data')).toEqual([]);
    // Counted as gone once: there is room for one more, and not for two.
    for (const id of [3, 5]) s.receive(frameBytes(windowUpdate, syn, id, 0), 0);
    expect(outputs(s)).toEqual([{ type: 'stream', id: 3 }]);
  });

  it('hears of a reset once, with data on the frame or not', () => {
    const s = accepted();
    s.receive(frameBytes(data, rst, 1, 3, 'abc'), 0);
    s.receive(frameBytes(data, rst, 1, 0), 0);
    expect(outputs(s)).toEqual([{ type: 'reset', id: 1 }]);
  });

  it('ends with GoAway, ours and the peer’s, and resets what is open', () => {
    const ours = accepted();
    ours.write(1, Buffer.from('lost'));
    ours.close();
    ours.close();
    expect(outputs(ours)).toEqual([
      { type: 'reset', id: 1 },
      { type: 'closed', reason: 'closed' },
    ]);
    expect(sent(ours)).toMatchObject([{ type: goAway, length: 0 }]);
    expect(ours.open(0)).toBeUndefined();
    const theirs = accepted();
    theirs.receive(Buffer.concat([frameBytes(goAway, 0, 0, 0), frameBytes(data, 0, 1, 2, 'no')]), 0);
    expect(outputs(theirs).map(({ type }) => type)).toEqual(['reset', 'closed']);
    expect(sent(theirs)).toEqual([]);
  });
});
