import { afterEach, expect, test, vi } from 'vitest';
import { UnderpassError } from '../../src/errors.ts';
import type { Identity } from '../../src/identity.ts';
import type { Connection } from '../../src/tunnel/connection.ts';
import type { TunnelEvent } from '../../src/tunnel/events.ts';
import { Link } from '../../src/tunnel/link/link.ts';
import type { requestLink } from '../../src/tunnel/link/link-setup.ts';
import { Subscriber } from '../../src/tunnel/subscriber.ts';
import { FakeCarrier } from '../support/fake-carrier.ts';
import { Application } from '../support/link-pair.ts';
import { VirtualRuntime } from '../support/virtual-runtime.ts';

type Request = Parameters<typeof requestLink>;

/** Links that were asked for, and have not come yet. */
const requests = vi.hoisted(
  () =>
    [] as {
      request: unknown;
      events: unknown;
      resolve(value: unknown): void;
      reject(error: unknown): void;
    }[],
);

vi.mock('../../src/tunnel/link/link-setup.ts', () => ({
  requestLink: (...[, request, events]: Request) =>
    new Promise((resolve, reject) => {
      requests.push({ request, events, resolve, reject });
      request.signal.addEventListener('abort', () => reject(request.signal.reason));
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
async function subscribed(rememberPeer = async () => ({ changed: false })) {
  const runtime = new VirtualRuntime();
  const told: string[] = [];
  const connection = {
    ...{ runtime, online: true, reconnect: true, server: 'test:4040' },
    store: { rememberPeer },
    add: (tenant: Subscriber) => tenant.onOnline(false),
    remove: () => {},
    hurry: () => {},
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
    const link = new Link({
      ...{
        name: 'my-game',
        runtime,
        maxChannels: 10,
        mayRelay: true,
        grace: 60_000,
        buffers: 64 * 1024 * 1024,
      },
      ...events,
    });
    const handler = link.handler('relayed');
    const relay = new FakeCarrier('relayed', handler);
    link.attach(handler, relay);
    prepare(link);
    links.push(link);
    const ports = [{ port: 27015, protocol: 'tcp' }];
    resolve({ established: { link, identity: Buffer.alloc(32) as unknown as Identity }, ports });
    await turn();
    return { link, relay };
  };
  /** The publisher has the link yet that was to be gone on with. */
  const goOn = async () => {
    const { request, resolve } = requests.at(-1) as { request: Request[1]; resolve(value: unknown): void };
    const { resume } = request;
    if (resume === undefined) throw new Error('nothing is to be gone on with');
    const handler = resume.link.handler('relayed');
    const relay = new FakeCarrier('relayed', handler);
    resume.link.attach(handler, relay);
    resolve({ established: resume, ports: [{ port: 27015, protocol: 'tcp' }] });
    await turn();
    return relay;
  };
  const goDirect = (link: Link, remote = '192.168.1.2:5000') => {
    const handler = link.handler('direct');
    const carrier = new FakeCarrier('direct', handler);
    link.attach(handler, carrier, { strategy: 'host', remote, elapsed: 100 });
    return carrier;
  };
  return { subscriber, runtime, answer, goOn, goDirect, said: () => told.splice(0) };
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
  carrier.end(new UnderpassError('peer_lost', { name: 'my-game' }));
  expect(said()).toEqual(['my-game direct host', 'my-game relayed busy']);
});

test('a disk that fails is told of, and ends what cannot do without it', async () => {
  const { answer, said } = await subscribed(async () => {
    throw new UnderpassError('file_unwritable', { file: 'known', problem: 'no space left on device' });
  });
  const { link } = await answer();
  expect([said(), link.closed]).toEqual([['file_unwritable', 'closed'], true]);
});

const LOST = new UnderpassError('peer_lost', { name: 'my-game' });

test('it goes on with its link where the server relays that one no longer', async () => {
  const { answer, goOn, goDirect, said } = await subscribed();
  const { link, relay } = await answer();
  goDirect(link);
  const busy = new Application();
  link.open(0, busy);
  said();
  relay.end(LOST);
  expect([requests.length, link.closed, busy.over, said()]).toEqual([2, false, [], []]);
  const again = await goOn();
  // Its path is the one it was.
  expect([said(), busy.over, requests.length]).toEqual([['ready'], [], 2]);
  again.end(LOST);
  await goOn();
  expect([said(), busy.over, requests.length]).toEqual([['ready'], [], 3]);
});

test('without any path connections wait, and it asks at least every five seconds', async () => {
  const { answer, goOn, said, runtime } = await subscribed();
  const { link, relay } = await answer();
  const busy = new Application();
  link.open(0, busy);
  said();
  relay.end(LOST);
  expect(said()).toEqual(['my-game none lost']);
  for (let asked = 2; asked < 10; asked++) {
    expect(requests).toHaveLength(asked);
    requests.at(-1)?.reject(new UnderpassError('peer_timeout', { name: 'my-game' }));
    await turn();
    expect(said()).toEqual(['peer_timeout']);
    runtime.advance(5000);
  }
  await goOn();
  expect([said(), busy.over]).toEqual([['my-game relayed searching', 'ready'], []]);
});

test('a publisher that has forgotten the link: what was on it is reset at once', async () => {
  const { answer, said } = await subscribed();
  const { link: old, relay } = await answer();
  const busy = new Application();
  old.open(0, busy);
  relay.end(LOST);
  said();
  const { link } = await answer();
  expect([old.closed, busy.over.length, link.closed]).toEqual([true, 1, false]);
  expect([said(), requests.length]).toEqual([['ready', 'my-game relayed searching'], 2]);
});

test('when the grace has passed it gives up going on, and builds a new link', async () => {
  const { answer, said, runtime } = await subscribed();
  const { link, relay } = await answer();
  relay.end(LOST);
  said();
  runtime.advance(60_000);
  await turn();
  expect([link.closed, said()]).toEqual([true, ['peer_lost']]);
  runtime.advance(1000);
  const last = requests.at(-1)?.request as Request[1];
  expect([requests.length, last.resume]).toEqual([3, undefined]);
  await answer();
  expect(said()).toEqual(['ready', 'my-game relayed searching']);
});

test('a publisher that leaves is waited for anew', async () => {
  const { answer, said, runtime } = await subscribed();
  const { link, relay } = await answer();
  said();
  relay.end(new UnderpassError('peer_left', { name: 'my-game' }));
  expect([link.closed, said()]).toEqual([true, ['peer_left']]);
  runtime.advance(1000);
  const last = requests.at(-1)?.request as Request[1];
  expect([requests.length, last.resume]).toEqual([2, undefined]);
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
