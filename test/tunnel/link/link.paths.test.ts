import { describe, expect, it } from 'vitest';
import { UnderpassError } from '../../../src/errors.ts';
import { encodeChannelHeader, encodeDataHeader } from '../../../src/tunnel/channel/channel-frame.ts';
import { Link, type LinkOptions, type LinkPath } from '../../../src/tunnel/link/link.ts';
import type { DirectOrigin } from '../../../src/tunnel/link/link-carrier.ts';
import type { AcceptChannel } from '../../../src/tunnel/link/link-channels.ts';
import { thrownBy } from '../../support/errors.ts';
import { FakeCarrier } from '../../support/fake-carrier.ts';
import { Application } from '../../support/link-pair.ts';
import { VirtualRuntime } from '../../support/virtual-runtime.ts';

const LOST = new UnderpassError('peer_lost', { name: 'test' });

const originOf = (remote: string): DirectOrigin => ({ strategy: 'direct', remote, elapsed: 120 });

const GRACE = 60_000;

function inWords(path: LinkPath): string {
  if (path.kind === 'none') return 'none';
  return path.kind === 'direct' ? `direct ${path.remote}` : path.reason;
}

/** What has been put off to the end of the present turn has happened. */
const turn = () => new Promise((done) => setImmediate(done));

/** A link, its carriers, and a diary of what it says. */
function linked(changes: Partial<LinkOptions> = {}) {
  const told: string[] = [];
  const runtime = new VirtualRuntime();
  const link: Link = new Link({
    ...{ name: 'test', runtime, maxChannels: 10, mayRelay: true, grace: GRACE, buffers: 1 << 26 },
    onPath: (path) => told.push(inWords(path)),
    onRelayLost: () => told.push('relay lost'),
    onClose: (error) => told.push(error === undefined ? 'closed' : `over: ${error.code}`),
    ...changes,
  });
  const carrierOf = (kind: 'relayed' | 'direct') => {
    const handler = link.handler(kind);
    return { handler, carrier: new FakeCarrier(kind, handler) };
  };
  return {
    link,
    runtime,
    carrierOf,
    /** What was said since the last time. */
    take: () => told.splice(0),
    relay() {
      const { handler, carrier } = carrierOf('relayed');
      link.attach(handler, carrier);
      return carrier;
    },
    direct(remote = '45.80.1.2:5000') {
      const { handler, carrier } = carrierOf('direct');
      link.attach(handler, carrier, originOf(remote));
      return Object.assign(carrier, { handler });
    },
    open() {
      const application = new Application();
      return Object.assign(application, { channel: link.open(0, application) });
    },
  };
}

describe('the active path', () => {
  it('is the relay until there is a direct one, and says why', () => {
    const { link, take, relay, direct, open } = linked();
    expect([link.path.kind, link.relayed]).toEqual(['none', false]);
    expect(thrownBy(open).code).toBe('peer_lost');
    const [relayed] = [relay()];
    relayed.rtt = 40;
    expect(link.path).toEqual({ kind: 'relayed', rtt: 40, reason: 'searching' });
    open();
    const straight = direct();
    straight.rtt = 12;
    expect(link.path).toEqual({ kind: 'direct', rtt: 12, ...originOf('45.80.1.2:5000') });
    open();
    // The one that was there before has got a stream, too.
    expect([relayed.streams.length, straight.streams.length]).toEqual([1, 2]);
    expect([take(), link.relayed]).toEqual([['searching', 'direct 45.80.1.2:5000'], true]);
  });

  it('can be direct before there is a relay', () => {
    const { take, relay, direct, open } = linked();
    const straight = direct();
    relay();
    open();
    expect([take(), straight.streams.length]).toEqual([['direct 45.80.1.2:5000'], 1]);
  });

  it('is told once while nothing changes, and again when the reason does', () => {
    const { link, take, relay, direct } = linked();
    link.relayedBecause('off');
    expect(take()).toEqual([]);
    relay();
    for (const reason of ['off', 'searching', 'searching', 'exhausted']) link.relayedBecause(reason);
    expect(take()).toEqual(['off', 'searching', 'exhausted']);
    direct();
    link.relayedBecause('lost');
    expect(take()).toEqual(['direct 45.80.1.2:5000']);
  });

  it('is the relay while the direct one is silent, for what was there before, too', () => {
    const { link, take, relay, direct, open } = linked();
    const [relayed, straight] = [relay(), direct()];
    const before = open();
    take();
    straight.handler.onSilence(true);
    straight.handler.onSilence(true);
    expect(link.path).toMatchObject({ kind: 'relayed', reason: 'silent' });
    open();
    straight.handler.onSilence(false);
    open();
    expect(take()).toEqual(['silent', 'direct 45.80.1.2:5000']);
    // Each has a stream on each carrier that it has been on.
    expect([relayed.streams.length, straight.streams.length, before.over]).toEqual([2, 3, []]);
  });

  it('is silent yet where there is nothing else', () => {
    for (const changes of [{}, { mayRelay: false }]) {
      const { take, relay, direct, open } = linked(changes);
      if (changes.mayRelay === false) relay();
      const straight = direct();
      take();
      straight.handler.onSilence(true);
      open();
      expect([take(), straight.streams.length]).toEqual([[], 1]);
    }
  });

  it('follows the peer to another address', () => {
    const { link, take, relay, direct } = linked();
    relay();
    const straight = direct();
    straight.handler.moved('45.80.1.3:6000');
    expect(link.path).toMatchObject({ remote: '45.80.1.3:6000', strategy: 'direct', elapsed: 120 });
    expect(take()).toEqual(['searching', 'direct 45.80.1.2:5000', 'direct 45.80.1.3:6000']);
  });
});

describe('a newer direct path', () => {
  it('takes over, and what is on the way on the one before has some time yet', () => {
    const { take, relay, direct, open, runtime } = linked();
    relay();
    const older = direct();
    const channels = [open(), open()];
    const newer = direct('45.80.1.2:6000');
    open();
    expect([older.streams.length, newer.streams.length]).toEqual([2, 3]);
    runtime.advance(1999);
    expect(older.ended).toBe(undefined);
    runtime.advance(1);
    expect([older.ended, newer.closed, channels.flatMap(({ over }) => over)]).toEqual(['drop', false, []]);
    expect(take()).toEqual(['searching', 'direct 45.80.1.2:5000', 'direct 45.80.1.2:6000']);
  });

  it('gives way to the one before when only that one is heard, or is left', () => {
    const { take, relay, direct, open } = linked();
    relay();
    const older = direct();
    const channel = open();
    const newer = direct('45.80.1.2:6000');
    take();
    newer.handler.onSilence(true);
    newer.end(LOST);
    expect(take()).toEqual(['direct 45.80.1.2:5000']);
    expect([older.closed, channel.over]).toEqual([false, []]);
  });
});

describe('a carrier that is lost', () => {
  it('leaves its channels to the relay', async () => {
    const { link, take, relay, direct, open } = linked();
    const relayed = relay();
    const straight = direct();
    const channel = open();
    take();
    link.relayedBecause('lost');
    straight.end(LOST);
    await turn();
    expect([channel.over, take(), relayed.streams.length]).toEqual([[], ['lost'], 1]);
    expect([link.closed, link.channelCount]).toEqual([false, 1]);
  });

  it('can be the relay: the direct path goes on', async () => {
    const { link, take, relay, direct, open } = linked();
    const relayed = relay();
    const channel = open();
    direct();
    take();
    relayed.end(LOST);
    await turn();
    expect([channel.over, take()]).toEqual([[], ['relay lost']]);
    expect([link.relayed, link.closed, link.path.kind]).toEqual([false, false, 'direct']);
  });

  it('is waited for where it was the only one, and its channels with it', async () => {
    const { link, take, relay, open, runtime } = linked();
    const first = relay();
    const channel = open();
    first.end(LOST);
    await turn();
    expect([link.closed, link.path.kind, take()]).toEqual([
      false,
      'none',
      ['searching', 'none', 'relay lost'],
    ]);
    expect(thrownBy(open).code).toBe('peer_lost');
    runtime.advance(GRACE - 1);
    const second = relay();
    await turn();
    expect([channel.over, second.streams.length, take()]).toEqual([[], 1, ['searching']]);
    runtime.advance(GRACE);
    expect([link.closed, channel.over]).toEqual([false, []]);
  });

  it('is the end of the link when the grace has passed: channels are reset', () => {
    const { link, take, relay, open, runtime } = linked();
    const first = relay();
    const channel = open();
    first.end(LOST);
    runtime.advance(GRACE - 1);
    expect([link.closed, channel.over]).toEqual([false, []]);
    runtime.advance(1);
    expect([link.closed, channel.over.length]).toEqual([true, 1]);
    expect(take()).toEqual(['searching', 'none', 'relay lost', 'over: peer_lost']);
  });

  it('is the end of the link at once where the peer has left', () => {
    const { link, take, relay, direct, open } = linked();
    const relayed = relay();
    const straight = direct();
    const channel = open();
    take();
    straight.end(new UnderpassError('peer_left', { name: 'test' }));
    expect([link.closed, relayed.closed, channel.over.length]).toEqual([true, true, 1]);
    expect(take()).toEqual(['over: peer_left']);
  });

  it('may have ended in the moment in which it came up', () => {
    const { link, take, relay, carrierOf } = linked();
    relay();
    const { handler, carrier } = carrierOf('direct');
    carrier.end(LOST);
    link.attach(handler, carrier, originOf('45.80.1.2:5000'));
    expect([link.path.kind, link.closed, take().at(-1)]).toEqual(['relayed', false, 'searching']);
  });

  it('gives way to another relay', async () => {
    const { link, relay, open } = linked();
    const first = relay();
    const channel = open();
    const second = relay();
    await turn();
    expect([first.ended, second.streams.length, channel.over, link.closed]).toEqual(['drop', 1, [], false]);
  });
});

/** Takes every channel. */
function acceptance() {
  const accepted: Application[] = [];
  const onChannel: AcceptChannel = (_header, accept) => {
    const application = new Application();
    application.channel = accept(application);
    accepted.push(application);
  };
  return { accepted, onChannel };
}

describe('a channel', () => {
  it('whose streams are reset again and again is given up', async () => {
    const { relay, open } = linked();
    const carrier = relay();
    const channel = open();
    for (let i = 0; i < 5; i++) {
      expect(channel.over).toEqual([]);
      carrier.streams.at(-1)?.handler?.onReset();
      await turn();
    }
    expect([channel.over.length, carrier.streams.length]).toEqual([1, 5]);
  });

  it('may be overtaken by its own second stream, and stays on that', () => {
    const { accepted, onChannel } = acceptance();
    const { relay, direct } = linked({ onChannel });
    const [slow, quick] = [relay(), direct()];
    const second = quick.accept();
    second.handler?.onData(encodeChannelHeader({ kind: 'resumed', port: 0, channel: 0n }));
    const first = slow.accept();
    first.handler?.onData(encodeChannelHeader({ kind: 'new', port: 0, channel: 0n }));
    first.handler?.onData(Buffer.concat([encodeDataHeader(5), Buffer.from('hello')]));
    expect([accepted.length, accepted[0]?.text, accepted[0]?.over]).toEqual([1, 'hello', []]);
    const before = second.written.length;
    accepted[0]?.channel?.write(Buffer.from('hello, too'));
    expect(second.written.length).toBeGreaterThan(before);
  });

  it('is waited for while there is a path, though nothing waits where there is none', async () => {
    const { accepted, onChannel } = acceptance();
    const { link, runtime, relay, direct } = linked({ grace: 0, onChannel });
    relay();
    const straight = direct();
    const lane = { kind: 'new', port: 0, channel: 0n } as const;
    straight.accept().handler?.onData(encodeChannelHeader(lane));
    straight.end(LOST);
    await turn();
    runtime.advance(4000);
    expect([accepted[0]?.over, link.channelCount]).toEqual([[], 1]);
    runtime.advance(1000);
    expect([accepted[0]?.over.length, link.channelCount]).toEqual([1, 0]);
  });

  it('stays where it is when the next carrier has no room for it', async () => {
    const { relay, direct, open, carrierOf } = linked();
    relay();
    const channel = open();
    direct();
    const { handler, carrier } = carrierOf('direct');
    carrier.open = () => {
      throw new UnderpassError('too_many_channels');
    };
    handler.attach(carrier, originOf('45.80.1.2:7000'));
    await turn();
    expect(channel.over).toEqual([]);
  });
});

describe('a link that may not be relayed', () => {
  it('has no path before the direct one, and says nothing', () => {
    const { link, take, relay, open } = linked({ mayRelay: false });
    relay();
    link.relayedBecause('exhausted');
    expect([link.path.kind, take()]).toEqual(['none', []]);
    expect(thrownBy(open).code).toBe('peer_lost');
  });

  it('takes no channel of the peer’s on the relay, and any on the direct path', () => {
    const { accepted, onChannel } = acceptance();
    const { link, relay, direct } = linked({ mayRelay: false, onChannel });
    expect(relay().accept().refused).toBe(true);
    const stream = direct().accept();
    stream.handler?.onData(encodeChannelHeader({ kind: 'new', port: 0, channel: 0n }));
    expect([stream.refused, accepted.length, link.channelCount]).toEqual([false, 1, 1]);
  });

  it('waits for another direct path, and ends with the grace', () => {
    const { link, take, relay, direct, runtime } = linked({ mayRelay: false });
    const relayed = relay();
    direct().end(LOST);
    expect([link.closed, take()]).toEqual([false, ['direct 45.80.1.2:5000', 'none']]);
    const next = direct('45.80.1.2:6000');
    runtime.advance(GRACE);
    expect(link.closed).toBe(false);
    next.end(LOST);
    runtime.advance(GRACE);
    expect([link.closed, relayed.closed]).toEqual([true, true]);
    expect(take()).toEqual(['direct 45.80.1.2:6000', 'none', 'over: peer_lost']);
  });

  it('outlives its relay', () => {
    const { link, take, relay, direct } = linked({ mayRelay: false });
    const relayed = relay();
    direct();
    relayed.end(LOST);
    expect([link.closed, take()]).toEqual([false, ['direct 45.80.1.2:5000', 'relay lost']]);
  });

  it('ends with its relay while it has nothing else', () => {
    const { link, relay } = linked({ mayRelay: false });
    relay().end(LOST);
    expect(link.closed).toBe(true);
  });
});

describe('the end of a link', () => {
  it('closes every carrier, resets every channel, and is told once and without a reason', () => {
    const { link, take, relay, direct, open } = linked();
    const relayed = relay();
    const onRelay = open();
    const older = direct();
    const onDirect = open();
    const newer = direct('45.80.1.2:6000');
    take();
    link.close();
    link.close();
    expect([relayed, older, newer].map(({ closed }) => closed)).toEqual([true, true, true]);
    expect([onRelay.over.length, onDirect.over.length, take()]).toEqual([1, 1, ['closed']]);
  });

  it('is announced once, while its carriers are there yet', () => {
    const announced: boolean[] = [];
    const { link, direct } = linked({ onClosing: () => announced.push(straight.closed) });
    const straight = direct();
    link.close();
    link.close();
    expect(announced).toEqual([false]);
  });

  it('closes what comes up too late', () => {
    const { link, take, relay, carrierOf } = linked();
    relay();
    const { handler, carrier } = carrierOf('direct');
    link.close();
    take();
    link.attach(handler, carrier, originOf('45.80.1.2:5000'));
    expect([carrier.closed, take()]).toEqual([true, []]);
  });
});
