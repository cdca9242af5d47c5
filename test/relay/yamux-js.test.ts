import { afterEach, describe, expect, it } from 'vitest';
import { Client, Server } from 'yamux-js';
import { Budget } from '../../src/net/budget.ts';
import { FrameType } from '../../src/relay/frame.ts';
import { type SessionOutput, YamuxSession } from '../../src/relay/session.ts';
import { decodeAll, frameBytes } from '../support/naive-frames.ts';

// What yamux-js 0.2.0 can do: it drops frames that a chunk cuts, ignores FIN, and polls every 100 ms at a full window. So it
// is handed whole frames, and stays within the first window.

type Session = Client | Server;

const config = { enableKeepAlive: false, logger: () => {} };
const sessions: Session[] = [];

afterEach(() => {
  for (const session of sessions.splice(0)) session.close();
});

/** Our session against theirs: everything that either says is passed on at the next turn. */
class Pair {
  readonly ours: YamuxSession;
  readonly theirs: Session;
  readonly outputs: SessionOutput[] = [];
  #scheduled = false;

  constructor(role: 'client' | 'server', theirs: Session) {
    const budget = new Budget(1 << 26);
    this.ours = new YamuxSession({ role, maxInbound: 100, maxWindow: 1 << 20, budget }, 0);
    this.theirs = theirs;
    sessions.push(theirs);
    theirs.on('error', () => {});
    theirs.on('data', (chunk: Buffer) => {
      this.ours.receive(chunk, 0);
      this.flush();
    });
  }

  flush(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      for (let output = this.ours.pollOutput(); output; output = this.ours.pollOutput()) {
        this.outputs.push(output);
        if (output.type === 'data') this.ours.consume(output.id, output.chunk.length, 0);
      }
      const buffers: Buffer[] = [];
      this.ours.transmit(1e6, buffers);
      for (const { type, flags, stream, length, payload } of decodeAll(Buffer.concat(buffers)).frames)
        this.theirs.write(frameBytes(type, flags, stream, length, payload.toString('latin1')));
    });
  }

  /** What has arrived on a stream of ours. */
  received(id: number): Buffer {
    return Buffer.concat(
      this.outputs.flatMap((output) => (output.type === 'data' && output.id === id ? [output.chunk] : [])),
    );
  }

  has(type: SessionOutput['type'], id: number): boolean {
    return this.outputs.some((output) => output.type === type && 'id' in output && output.id === id);
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe('our session and yamux-js', () => {
  it('as their client: its streams are accepted, and carry both ways', async () => {
    const client = new Client(config);
    const pair = new Pair('server', client);
    const streams = [client.open(), client.open()];
    const received = streams.map((stream, i) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.write(Buffer.alloc(50_000, i + 1));
      return chunks;
    });
    await until(() => pair.received(1).length === 50_000 && pair.received(3).length === 50_000);
    expect(pair.received(3).equals(Buffer.alloc(50_000, 2))).toBe(true);
    for (const id of [1, 3]) pair.ours.write(id, Buffer.alloc(100_000, 10 + id));
    pair.flush();
    await until(() => received.every((chunks) => Buffer.concat(chunks).length === 100_000));
    expect(Buffer.concat(received[1] ?? []).equals(Buffer.alloc(100_000, 13))).toBe(true);
    streams[0]?.close();
    await until(() => pair.has('end', 1));
    expect(pair.ours.closed).toBe(false);
  });

  it('as their server: it accepts our streams, echoes, and grants window as it reads', async () => {
    const server = new Server((stream) => {
      stream.on('data', (chunk: Buffer) => stream.write(chunk));
    }, config);
    const pair = new Pair('client', server);
    const id = pair.ours.open(0) ?? 0;
    let sent = 0;
    for (let round = 1; round <= 8; round++) {
      pair.ours.write(id, Buffer.alloc(60_000, round));
      sent += 60_000;
      pair.flush();
      await until(() => pair.received(id).length === sent);
    }
    expect(pair.received(id).subarray(-60_000).equals(Buffer.alloc(60_000, 8))).toBe(true);
    expect(pair.ours.closed).toBe(false);
  });

  it('as their client: it answers our pings', async () => {
    const client = new Client(config);
    const pair = new Pair('server', client);
    const answers: number[] = [];
    client.prependListener('data', (chunk: Buffer) => {
      for (const { type, length } of decodeAll(chunk).frames)
        if (type === FrameType.ping) answers.push(length);
    });
    pair.ours.handleTimeout(0);
    pair.flush();
    await until(() => pair.ours.rtt !== undefined);
    expect(answers).toHaveLength(1);
  });

  it('understand each other’s goodbye', async () => {
    const client = new Client(config);
    const pair = new Pair('server', client);
    client.open();
    await until(() => pair.has('stream', 1));
    client.close();
    await until(() => pair.ours.closed);
    await until(() => pair.outputs.at(-1)?.type === 'closed');
    expect(pair.outputs.slice(-2)).toEqual([
      { type: 'reset', id: 1 },
      { type: 'closed', reason: 'left' },
    ]);
  });
});
