import { expect } from 'vitest';
import { Budget } from '../../src/net/budget.ts';
import { Flag, FrameType } from '../../src/relay/frame.ts';
import { type SessionOptions, type SessionOutput, YamuxSession } from '../../src/relay/session.ts';
import { decodeAll, type Frame, frameBytes } from './naive-frames.ts';

/** A session alone; the test plays its peer, frame by frame. */
export function session(options: Partial<SessionOptions> = {}): YamuxSession {
  const budget = new Budget(64 * 1024 * 1024);
  return new YamuxSession({ role: 'server', maxInbound: 10, maxWindow: 1 << 20, budget, ...options }, 0);
}

/** Everything that it says happened. */
export function outputs(of: YamuxSession): SessionOutput[] {
  const all: SessionOutput[] = [];
  for (let output = of.pollOutput(); output; output = of.pollOutput()) all.push(output);
  return all;
}

/** The frames that it sends now. */
export function sent(of: YamuxSession, limit = Number.POSITIVE_INFINITY): Frame[] {
  const buffers: Buffer[] = [];
  of.transmit(limit, buffers);
  const { frames, rest } = decodeAll(Buffer.concat(buffers));
  expect(rest).toHaveLength(0);
  return frames;
}

/** A server session with stream 1 open, and nothing left to say. */
export function accepted(options: Partial<SessionOptions> = {}): YamuxSession {
  const s = session(options);
  s.receive(frameBytes(FrameType.windowUpdate, Flag.syn, 1, 0), 0);
  outputs(s);
  sent(s);
  return s;
}

export function payload(length: number): string {
  return 'x'.repeat(length);
}
