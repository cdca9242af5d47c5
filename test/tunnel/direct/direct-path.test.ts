import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { CarrierHandler } from '../../../src/carrier.ts';
import { UnderpassError } from '../../../src/errors.ts';
import type { PuncherHandler } from '../../../src/punch/client.ts';
import type { Strategy } from '../../../src/punch/strategies.ts';
import { DirectPath, type DirectPathOptions } from '../../../src/tunnel/direct/direct-path.ts';

const LOST = new UnderpassError('peer_lost', { name: 'test' });
const PACKET = Buffer.from('c0ffee', 'hex');

/** What the puncher and the carrier below have been told, and how to play them. */
const below = vi.hoisted(() => ({
  told: [] as string[],
  punch: undefined as unknown as PuncherHandler,
  /** Undefined until a path is selected. */
  carrier: undefined as undefined | { handler: CarrierHandler; resolve(): void; reject(error: Error): void },
  /** Whether the native library refuses to begin. */
  broken: false,
}));

vi.mock('../../../src/punch/client.ts', () => ({
  Puncher: class {
    constructor(_: unknown, handler: PuncherHandler) {
      below.punch = handler;
    }
    send = () => below.told.push('puncher sends');
    close = () => below.told.push('puncher closes');
  },
}));

vi.mock('../../../src/quic/carrier.ts', () => ({
  QuicCarrier: class {
    readonly established: Promise<void>;
    readonly #handler: CarrierHandler;
    readonly #send: (packet: Buffer) => void;
    #state: 'opening' | 'open' | 'over' = 'opening';

    constructor({ send }: { send(packet: Buffer): void }, handler: CarrierHandler) {
      if (below.broken) throw new Error('TlsFail');
      this.#handler = handler;
      this.#send = send;
      this.established = new Promise((resolve, reject) => {
        const open = () => {
          this.#state = 'open';
          resolve();
        };
        below.carrier = { handler, resolve: open, reject };
      });
    }

    receive = ([first]: Buffer) => first === PACKET[0];

    close(): void {
      const isOpen = this.#state === 'open';
      if (this.#state === 'over') return;
      this.#state = 'over';
      this.#send(PACKET);
      if (isOpen) this.#handler.onClose(undefined);
      else below.carrier?.reject(LOST);
    }

    drop = () => this.close();
  },
}));

beforeEach(() => {
  below.told.length = 0;
  below.carrier = undefined;
  below.broken = false;
});

function seeking() {
  const events: string[] = [];
  const path = new DirectPath({ punch: {}, quic: {} } as DirectPathOptions, {
    onPredicted: () => {},
    onArmed: () => {},
    onFailed: (reason, error) => events.push(`failed${error ? ', over' : ''}: ${reason}`),
    carrierHandler: () => ({
      onStream: () => events.push('stream'),
      onDatagram: () => events.push('datagram'),
      onDatagramRoom: () => events.push('room'),
      onClose: (error) => events.push(`carrier gone: ${error?.code}`),
    }),
    onUp: (_, { strategy, remote }) => events.push(`up by ${strategy} ${remote}`),
    onMoved: (remote) => events.push(`moved ${remote}`),
    onLost: (error) => events.push(`lost: ${error?.code}`),
  });
  const select = (port: number, strategy: Strategy = 'direct', address = '45.80.1.2') =>
    below.punch.onSelected({ strategy, remote: { address, port }, rtt: 20 });
  return { path, events, select };
}

/** What promises lead to has happened. */
const turn = () => new Promise((done) => setImmediate(done));

async function up() {
  const all = seeking();
  all.select(5000);
  below.carrier?.resolve();
  await turn();
  all.events.length = 0;
  return all;
}

describe('QUIC on a path', () => {
  test('is set up once it is found, and moves with it', async () => {
    const { path, events, select } = seeking();
    select(5000);
    expect([path.isUp, events]).toEqual([false, []]);
    below.carrier?.resolve();
    await turn();
    select(5001, 'open');
    select(5002, 'open', '2a0e:a1::2');
    expect(events).toEqual([
      'up by direct 45.80.1.2:5000',
      'moved 45.80.1.2:5001',
      'moved [2a0e:a1::2]:5002',
    ]);
    expect([path.isUp, path.isOver]).toEqual([true, false]);
  });

  test('is where the peer was last, though found where it was first', async () => {
    const { events, select } = seeking();
    select(5000, 'bracket');
    select(5001, 'direct');
    below.carrier?.resolve();
    await turn();
    expect(events).toEqual(['up by bracket 45.80.1.2:5001']);
  });

  test('gets packets once there is a path, and those that it takes are counted', async () => {
    const { path, select } = seeking();
    expect(below.punch.onPacket(PACKET)).toBe(false);
    select(5000);
    expect(below.punch.onPacket(PACKET)).toBe(true);
    expect(below.punch.onPacket(Buffer.alloc(100))).toBe(false);
    expect([path.takeReceived(), path.takeReceived()]).toEqual([3, 0]);
  });

  test('that does not come about is the end of the path', async () => {
    const { path, events, select } = seeking();
    select(5000);
    below.carrier?.reject(new UnderpassError('peer_certificate', { name: 'test' }));
    await turn();
    expect(events).toEqual([expect.stringMatching(/^failed, over: .*certificate/)]);
    expect([path.isOver, below.told]).toEqual([true, ['puncher closes']]);
  });

  test('that cannot even begin is the end of the path', async () => {
    below.broken = true;
    const { path, events, select } = seeking();
    select(5000);
    await turn();
    expect(events).toEqual([expect.stringMatching(/^failed, over: .*TlsFail/)]);
    expect([path.isOver, below.told]).toEqual([true, ['puncher closes']]);
  });

  test('that ends in the moment in which it comes about has not come about', async () => {
    const { path, events, select } = seeking();
    select(5000);
    below.carrier?.resolve();
    below.carrier?.handler.onClose(LOST);
    await turn();
    expect(events).toEqual([expect.stringMatching(/^failed, over: /), 'carrier gone: peer_lost']);
    expect([path.isOver, below.told]).toEqual([true, ['puncher closes']]);
  });
});

describe('a path that is over', () => {
  test('because QUIC is, was lost; that is told first, and once', async () => {
    const { path, events } = await up();
    below.carrier?.handler.onClose(LOST);
    path.close();
    expect(events).toEqual(['lost: peer_lost', 'carrier gone: peer_lost']);
  });

  test('because nobody answers on it, was lost', async () => {
    const { path, events } = await up();
    below.punch.onLost();
    expect([events, path.isOver]).toEqual([['lost: undefined', 'carrier gone: undefined'], true]);
  });

  test('because nobody answers on it, before QUIC was up, has failed', async () => {
    const { events, select } = seeking();
    select(5000);
    below.punch.onLost();
    await turn();
    expect(events).toEqual(['failed: lost']);
  });

  test('because it was asked to, says goodbye first, and nothing if it was not up', async () => {
    const { path, events } = await up();
    path.close();
    path.close();
    expect(events).toEqual(['lost: undefined', 'carrier gone: undefined']);
    expect(below.told.slice(0, 2)).toEqual(['puncher sends', 'puncher closes']);
    const early = seeking();
    early.path.close();
    const connecting = seeking();
    connecting.select(5000);
    connecting.path.close();
    await turn();
    expect([early.events, early.path.isOver, connecting.path.isOver]).toEqual([[], true, true]);
    expect(connecting.events).toEqual([]);
  });

  test('is not found again', async () => {
    const { path, events } = await up();
    path.close();
    events.length = 0;
    below.carrier?.resolve();
    await turn();
    expect([events, path.isUp]).toEqual([[], false]);
  });
});
