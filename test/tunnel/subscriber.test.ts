import { afterEach, expect, test, vi } from 'vitest';
import type { Identity } from '../../src/identity.ts';
import type { Connection } from '../../src/tunnel/connection.ts';
import type { TunnelEvent } from '../../src/tunnel/events.ts';
import { Link } from '../../src/tunnel/link.ts';
import type { requestLink } from '../../src/tunnel/link-setup.ts';
import { Subscriber } from '../../src/tunnel/subscriber.ts';
import { FakeCarrier } from '../support/fake-carrier.ts';
import { Application } from '../support/link-pair.ts';
import { VirtualRuntime } from '../support/virtual-runtime.ts';

type Request = Parameters<typeof requestLink>;

/** Links that were asked for, and have not come yet. */
const requests = vi.hoisted(() => [] as { events: unknown; resolve(value: unknown): void }[]);

vi.mock('../../src/tunnel/link-setup.ts', () => ({
  requestLink: (...[, , events]: Request) =>
    new Promise((resolve) => {
      requests.push({ events, resolve });
    }),
}));

const subscribers: Subscriber[] = [];

afterEach(async () => {
  for (const subscriber of subscribers.splice(0)) await subscriber.close();
  requests.length = 0;
});

/** What promises lead to has happened. */
const turn = () => new Promise((done) => setImmediate(done));

/** A subscriber whose server is there, and has been asked for a link. */
async function subscribed() {
  const runtime = new VirtualRuntime();
  const told: string[] = [];
  const connection = {
    ...{ runtime, online: true, reconnect: true, server: 'test:4040' },
    store: { rememberPeer: async () => ({ changed: false }) },
    add: (tenant: Subscriber) => tenant.onOnline(false),
    remove: () => {},
  };
  const options = { target: 'my-game', secret: 'sixteen or more characters', localPort: 0 };
  const subscriber = new Subscriber(connection as unknown as Connection, options, (event) =>
    told.push(inWords(event)),
  );
  subscribers.push(subscriber);
  await vi.waitFor(() => expect(requests).toHaveLength(1));
  const links: Link[] = [];
  /** The link that was asked for last comes up, unless `prepare` has ended it. */
  const answer = async (prepare: (link: Link) => void = () => {}) => {
    const { events, resolve } = requests.at(-1) as { events: Request[2]; resolve(value: unknown): void };
    const link = new Link({ ...{ name: 'my-game', runtime, maxChannels: 10, mayRelay: true }, ...events });
    const handler = link.handler('relayed');
    const relay = new FakeCarrier('relayed', handler);
    link.attach(handler, relay);
    prepare(link);
    links.push(link);
    const ports = [{ port: 27015, protocol: 'tcp' }];
    resolve({ link, identity: Buffer.alloc(32) as unknown as Identity, ports });
    await turn();
    return { link, relay };
  };
  const goDirect = (link: Link, remote = '192.168.1.2:5000') => {
    const handler = link.handler('direct');
    const carrier = new FakeCarrier('direct', handler);
    link.attach(handler, carrier, { strategy: 'host', remote, elapsed: 100 });
    return carrier;
  };
  return { subscriber, runtime, answer, goDirect, said: () => told.splice(0) };
}

function inWords(event: TunnelEvent): string {
  if (event.event === 'path') return `${event.target} ${event.kind} ${event.strategy ?? event.reason}`;
  return event.event === 'error' ? event.code : event.event;
}

test('it tells its path once it is ready, and each change', async () => {
  const { answer, goDirect, said } = await subscribed();
  const { link } = await answer((early) => early.relayedBecause('busy'));
  expect(said()).toEqual(['ready', 'my-game relayed busy']);
  const carrier = goDirect(link);
  carrier.close();
  expect(said()).toEqual(['my-game direct host', 'my-game relayed busy']);
});

test('it looks for another link where the server relays this one no longer, and uses it until then', async () => {
  const { answer, goDirect, said } = await subscribed();
  const { link: old, relay } = await answer();
  goDirect(old);
  const busy = new Application();
  const channel = old.open(0, busy);
  said();
  relay.close();
  expect([requests.length, old.closed, busy.over, said()]).toEqual([2, false, [], []]);
  const { link } = await answer();
  expect(said()).toEqual(['ready', 'my-game relayed searching']);
  // What is on the old one stays there; nobody hears of it any more.
  goDirect(old, '192.168.1.3:5000');
  expect([old.closed, busy.over, said()]).toEqual([false, [], []]);
  channel.reset(0);
  expect([old.closed, link.closed, said(), requests.length]).toEqual([true, false, [], 2]);
});

test('it says nothing of the old link’s end where there is nothing on it', async () => {
  const { answer, goDirect, said } = await subscribed();
  const { link: old, relay } = await answer();
  goDirect(old);
  relay.close();
  said();
  const { link } = await answer();
  expect([old.closed, link.closed, said(), requests.length]).toEqual([
    true,
    false,
    ['ready', 'my-game relayed searching'],
    2,
  ]);
});

test('it builds a link again that has ended while it was being built', async () => {
  const { answer, said, runtime } = await subscribed();
  await answer((link) => link.close());
  expect([said(), requests.length]).toEqual([['peer_lost'], 1]);
  runtime.advance(60_000);
  expect(requests).toHaveLength(2);
  await answer();
  expect(said()).toEqual(['ready', 'my-game relayed searching']);
});
