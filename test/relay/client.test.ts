import { EventEmitter } from 'node:events';
import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import type { ByteStream } from '../../src/carrier.ts';
import { asUnderpassError } from '../../src/errors.ts';
import { Budget } from '../../src/net/budget.ts';
import { RelayClient } from '../../src/relay/client.ts';
import { Mux } from '../../src/relay/mux.ts';
import { BULK_LANE, DATAGRAM_LANE, encodePreface } from '../../src/relay/preface.ts';
import { Recorder } from '../support/mux-pair.ts';
import { VirtualRuntime } from '../support/virtual-runtime.ts';

const LINK = Buffer.alloc(16, 7);

/** A client whose server is played by the test, which opens what lanes it likes. */
async function connected() {
  const runtime = new VirtualRuntime();
  /** Cut: nothing crosses any more, and nobody is told. */
  const wire = { cut: false };
  const carry = (to: (bytes: Buffer) => void) => (bytes: Buffer, sent?: () => void) => {
    const copy = Buffer.from(bytes);
    runtime.setTimer(0, () => sent?.());
    runtime.setTimer(1, () => wire.cut || to(copy));
  };
  const toServer = carry((bytes) => server.receive(bytes));
  const toClient = carry((bytes) => socket.emit('message', bytes, true));
  const socket = Object.assign(new EventEmitter(), {
    send: (bytes: Buffer, _options: object, sent?: () => void) => toServer(bytes, sent),
    close: () => socket.emit('close'),
  });
  const websocket = socket as unknown as WebSocket;
  let connections = 0;
  const client = new RelayClient({
    runtime,
    connect: async () => {
      connections += 1;
      return { websocket, transport: new Socket() };
    },
  });
  const options = { role: 'client', maxInbound: 0, maxWindow: 1 << 20, budget: new Budget(1 << 30) } as const;
  const transport = {
    send: (buffers: Buffer[], sent: () => void) => toClient(Buffer.concat(buffers), sent),
    close: () => {},
  };
  const server: Mux = new Mux(options, transport, runtime, { onStream: () => {}, onClose: () => {} });
  await client.ready();
  const openLane = (lane: number, link = LINK) => {
    const recorder = new Recorder(server.open(undefined, lane === DATAGRAM_LANE) as ByteStream);
    recorder.stream.write(encodePreface({ link, lane }));
    runtime.advance(10);
    return recorder;
  };
  return { runtime, client, wire, openLane, opened: () => connections };
}

describe('what a relay client lets in', () => {
  it('is both lanes of a link that it expects, in either order', async () => {
    const { client, openLane } = await connected();
    const arrival = client.expect(LINK).arrival();
    const far = [openLane(DATAGRAM_LANE), openLane(BULK_LANE)];
    const { bulk, datagrams } = await arrival;
    bulk.write(Buffer.from('bulk'));
    (await datagrams)?.write(Buffer.from('datagrams'));
    await turn();
    expect(far.map(({ events }) => events)).toEqual([[], []]);
    client.close();
  });

  it('is each lane once, and no lane that it does not know', async () => {
    const { client, openLane } = await connected();
    const arrival = client.expect(LINK).arrival();
    const lanes = [BULK_LANE, DATAGRAM_LANE, BULK_LANE, DATAGRAM_LANE, DATAGRAM_LANE, 2, 255].map((lane) =>
      openLane(lane),
    );
    expect(lanes.map(({ events }) => events.length)).toEqual([0, 0, 1, 1, 1, 1, 1]);
    await arrival;
    expect(openLane(BULK_LANE, Buffer.alloc(16, 8)).events).toEqual(['reset']);
    client.close();
  });

  it('is nothing once it is no longer wanted, and what had come is reset', async () => {
    const { client, openLane, runtime } = await connected();
    const expected = client.expect(LINK);
    const early = openLane(DATAGRAM_LANE);
    expected.cancel();
    await turn();
    runtime.advance(10);
    expect([early.events, openLane(BULK_LANE).events]).toEqual([['reset'], ['reset']]);
    expect((await expected.arrival().catch(asUnderpassError)) as unknown).toMatchObject({
      code: 'peer_lost',
    });
  });

  it('may lack datagrams: the link goes on, and they are not waited for for ever', async () => {
    const { client, openLane, runtime } = await connected();
    const arrival = client.expect(LINK).arrival();
    openLane(BULK_LANE);
    const { datagrams } = await arrival;
    await turn();
    runtime.advance(15_000);
    await expect(datagrams).rejects.toMatchObject({ code: 'peer_timeout' });
    expect(openLane(DATAGRAM_LANE).events).toEqual(['reset']);
  });

  it('is two of each lane where both ends are in it', async () => {
    const { client, openLane } = await connected();
    const ends = [client.expect(LINK), client.expect(LINK)].map((expected) => expected.arrival());
    const lanes = [BULK_LANE, BULK_LANE, DATAGRAM_LANE, DATAGRAM_LANE].map((lane) => openLane(lane));
    for (const { datagrams } of await Promise.all(ends)) expect(await datagrams).toBeDefined();
    expect(lanes.map(({ events }) => events)).toEqual(lanes.map(() => []));
    client.close();
  });
});

describe('a check of the data connection', () => {
  it('gives a silent one up after 5 s, and what it carries', async () => {
    const { client, openLane, runtime, wire } = await connected();
    const arrival = client.expect(LINK).arrival();
    openLane(BULK_LANE);
    const recorder = new Recorder((await arrival).bulk);
    runtime.advance(1000);
    wire.cut = true;
    client.check();
    runtime.advance(4900);
    expect(recorder.events).toEqual([]);
    runtime.advance(200);
    expect(recorder.events).toEqual(['reset']);
  });

  it('does nothing to one that answers, nor where there is none', async () => {
    const { client, openLane, runtime } = await connected();
    const arrival = client.expect(LINK).arrival();
    openLane(BULK_LANE);
    const recorder = new Recorder((await arrival).bulk);
    client.check();
    runtime.advance(20_000);
    expect(recorder.events).toEqual([]);
    client.close();
    client.check();
  });
});

describe('a data connection that was lost', () => {
  it('is opened again before a link is asked for, and only then', async () => {
    const { client, wire, runtime, opened } = await connected();
    await client.recover();
    expect(opened()).toBe(1);
    wire.cut = true;
    client.check();
    runtime.advance(6000);
    expect(opened()).toBe(1);
    await Promise.all([client.recover(), client.recover()]);
    expect([opened(), client.connected]).toEqual([2, true]);
    await client.recover();
    expect(opened()).toBe(2);
  });
});

describe('the end of a data connection', () => {
  it('is known to those whose streams end by it, and a stream that ends alone is no such thing', async () => {
    for (const isLost of [true, false]) {
      const { client, openLane, wire, runtime } = await connected();
      const arrival = client.expect(LINK).arrival();
      const far = openLane(BULK_LANE);
      const seen: boolean[] = [];
      const ignore = () => {};
      const onReset = () => seen.push(client.connected);
      (await arrival).bulk.attach({ onData: ignore, onEnd: ignore, onDrain: ignore, onReset });
      wire.cut = isLost;
      if (isLost) client.check();
      else far.stream.reset();
      runtime.advance(6000);
      expect(seen).toEqual([!isLost]);
    }
  });
});

/** Lets promises that have been settled be heard of. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
