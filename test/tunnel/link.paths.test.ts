import { describe, expect, it } from 'vitest';
import { UnderpassError } from '../../src/errors.ts';
import { type ChannelHeader, encodeChannelHeader } from '../../src/tunnel/channel-frame.ts';
import type { ChannelStream, ChannelUser } from '../../src/tunnel/channel-stream.ts';
import { Link, type LinkOptions } from '../../src/tunnel/link.ts';
import type { DirectOrigin } from '../../src/tunnel/link-carrier.ts';
import { thrownBy } from '../support/errors.ts';
import { FakeCarrier } from '../support/fake-carrier.ts';
import { Application } from '../support/link-pair.ts';
import { VirtualRuntime } from '../support/virtual-runtime.ts';

const LOST = new UnderpassError('peer_lost', { name: 'test' });

const originOf = (remote: string): DirectOrigin => ({ strategy: 'direct', remote, elapsed: 120 });

/** A link, its carriers, and a diary of what it says. */
function linked(changes: Partial<LinkOptions> = {}) {
  const told: string[] = [];
  const link: Link = new Link({
    ...{ name: 'test', runtime: new VirtualRuntime(), maxChannels: 10, mayRelay: true },
    onPath: (path) => told.push(path.kind === 'direct' ? `direct ${path.remote}` : path.reason),
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
    expect([link.path, link.relayed]).toEqual([undefined, false]);
    expect(thrownBy(open).code).toBe('peer_lost');
    const [relayed] = [relay()];
    relayed.rtt = 40;
    expect(link.path).toEqual({ kind: 'relayed', rtt: 40, reason: 'searching' });
    open();
    const straight = direct();
    straight.rtt = 12;
    expect(link.path).toEqual({ kind: 'direct', rtt: 12, ...originOf('45.80.1.2:5000') });
    open();
    expect([relayed.streams.length, straight.streams.length]).toEqual([1, 1]);
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

  it('is the relay while the direct one is silent; what is on that one stays there', () => {
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
    expect([relayed.streams.length, straight.streams.length, before.over]).toEqual([1, 2, []]);
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
  it('takes over, and ends the one before with its last channel', () => {
    const { take, relay, direct, open } = linked();
    relay();
    const older = direct();
    const [one, other] = [open(), open()];
    const newer = direct('45.80.1.2:6000');
    open();
    expect([older.closed, older.streams.length, newer.streams.length]).toEqual([false, 2, 1]);
    one.channel.reset(0);
    expect(older.closed).toBe(false);
    other.channel.reset(0);
    expect([older.closed, newer.closed]).toEqual([true, false]);
    expect(take()).toEqual(['searching', 'direct 45.80.1.2:5000', 'direct 45.80.1.2:6000']);
  });

  it('ends the one before at once where nothing is on it', () => {
    const { take, direct } = linked();
    const older = direct();
    const newer = direct('45.80.1.2:6000');
    expect([older.closed, newer.closed]).toEqual([true, false]);
    expect(take()).toEqual(['direct 45.80.1.2:5000', 'direct 45.80.1.2:6000']);
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
  it('takes its channels with it; the relay goes on', () => {
    const { link, take, relay, direct, open } = linked();
    relay();
    const onRelay = open();
    const straight = direct();
    const onDirect = open();
    take();
    link.relayedBecause('lost');
    straight.end(LOST);
    expect([onDirect.over.length, onRelay.over, take()]).toEqual([1, [], ['lost']]);
    expect([link.closed, link.channelCount]).toEqual([false, 1]);
  });

  it('can be the relay: the direct path goes on, and the link ends with that', () => {
    const { link, take, relay, direct, open } = linked();
    const relayed = relay();
    const onRelay = open();
    const straight = direct();
    const onDirect = open();
    take();
    relayed.end(LOST);
    expect([onRelay.over.length, onDirect.over, take()]).toEqual([1, [], ['relay lost']]);
    expect([link.relayed, link.closed, link.path?.kind]).toEqual([false, false, 'direct']);
    straight.end(LOST);
    expect([onDirect.over.length, link.closed, take()]).toEqual([1, true, ['over: peer_lost']]);
    expect(thrownBy(open).code).toBe('peer_lost');
  });

  it('is the end of the link where it was the only one', () => {
    const { link, take, relay } = linked();
    relay().end(LOST);
    expect([link.closed, take()]).toEqual([true, ['searching', 'over: peer_lost']]);
  });

  it('may have ended in the moment in which it came up', () => {
    const { link, take, relay, carrierOf } = linked();
    relay();
    const { handler, carrier } = carrierOf('direct');
    carrier.end(LOST);
    link.attach(handler, carrier, originOf('45.80.1.2:5000'));
    expect(link.path?.kind).toBe('relayed');
    expect([link.closed, take().at(-1)]).toEqual([false, 'searching']);
    const other = linked();
    const early = other.carrierOf('relayed');
    early.carrier.end(LOST);
    other.link.attach(early.handler, early.carrier);
    expect([other.link.closed, other.take().at(-1)]).toEqual([true, 'over: peer_lost']);
  });
});

describe('a link that may not be relayed', () => {
  const acceptance = () => {
    const accepted: Application[] = [];
    const onChannel = (_header: ChannelHeader, accept: (user: ChannelUser) => ChannelStream) => {
      const application = new Application();
      application.channel = accept(application);
      accepted.push(application);
    };
    return { accepted, onChannel };
  };

  it('has no path before the direct one, and says nothing', () => {
    const { link, take, relay, open } = linked({ mayRelay: false });
    relay();
    link.relayedBecause('exhausted');
    expect([link.path, take()]).toEqual([undefined, []]);
    expect(thrownBy(open).code).toBe('peer_lost');
  });

  it('takes no channel of the peer’s on the relay, and any on the direct path', () => {
    const { accepted, onChannel } = acceptance();
    const { link, relay, direct } = linked({ mayRelay: false, onChannel });
    expect(relay().accept().refused).toBe(true);
    const stream = direct().accept();
    expect(stream.refused).toBe(false);
    stream.handler?.onData(encodeChannelHeader({ kind: 'new', port: 0, channel: 0n }));
    expect([accepted.length, link.channelCount]).toEqual([1, 1]);
  });

  it('ends with its direct path, and closes the relay', () => {
    const { link, take, relay, direct } = linked({ mayRelay: false });
    const relayed = relay();
    direct().end(LOST);
    expect([link.closed, relayed.closed]).toEqual([true, true]);
    expect(take()).toEqual(['direct 45.80.1.2:5000', 'over: peer_lost']);
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

  it('comes with its last channel where it is retired, wherever that is', () => {
    const { link, relay, direct, open } = linked();
    const relayed = relay();
    const onRelay = open();
    const straight = direct();
    const onDirect = open();
    link.retire();
    onRelay.channel.reset(0);
    expect([link.closed, relayed.closed]).toEqual([false, false]);
    onDirect.channel.reset(0);
    expect([link.closed, relayed.closed, straight.closed]).toEqual([true, true, true]);
  });

  it('comes at once where it is retired and carries nothing', () => {
    const { link, take, relay } = linked();
    relay();
    take();
    link.retire();
    expect([link.closed, take()]).toEqual([true, ['closed']]);
  });
});
