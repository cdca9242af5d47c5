import {
  test as base,
  type JsonEvent,
  type Program,
  type ServerOptions,
  type TestServer,
  type TestSubscriber,
  type World,
} from './e2e.ts';

const support = await loadQuiche();

/** For tests that are skipped where there is no binary for this platform. */
export const test = base.skipIf(!support.available);

/** The native library; only for those tests. */
export function nativeQuiche(): Quiche {
  if (!support.available) throw new Error(support.problem);
  return support.quiche;
}

import { loadQuiche, type Quiche } from '../../src/quic/binding.ts';
import { HostileServer, type Tricks } from './e2e-hostile-server.ts';

/** A server with which a direct path is found on this machine: it answers STUN, on ports that nobody else has. */
export const STUN: ServerOptions = {
  stun: true,
  config: 'stun: { addresses: [127.0.0.1, 127.0.0.2], ports: [0, 0] }\nmetrics: { listen: "127.0.0.1:0" }',
};

/** For a client: there is no router to be asked, and waiting for one that is there would be somebody else's. */
export const NO_ROUTER = ['--no-port-mapping'];

export interface Direct {
  readonly publisher: Program;
  readonly subscriber: TestSubscriber;
  /** The first `path` event of either that says `direct`. */
  readonly published: JsonEvent;
  readonly subscribed: JsonEvent;
}

type Access = Pick<TestServer, 'access'>;

/** Publishes, ready to be reached directly. */
export function publishDirect(world: World, server: Access, port: number, args: readonly string[] = []) {
  return world.publish(server, port, { args: [...NO_ROUTER, ...args] });
}

/** Subscribes, ready to reach directly; the direct path may not be there yet. */
export function subscribeDirect(world: World, server: Access, args: readonly string[] = []) {
  return world.subscribe(server, { args: [...NO_ROUTER, ...args] });
}

/** A publisher and a subscriber with a direct path between them. They may reach the server by different ways. */
export async function goDirect(
  world: World,
  servers: { readonly publisher: Access; readonly subscriber: Access },
  service: number,
  args: readonly string[] = [],
): Promise<Direct> {
  const publisher = await publishDirect(world, servers.publisher, service, args);
  const subscriber = await subscribeDirect(world, servers.subscriber, args);
  const [subscribed, published] = await Promise.all([directPath(subscriber.program), directPath(publisher)]);
  return { publisher, subscriber, published, subscribed };
}

/** The same by way of one server of their own, which answers STUN. */
export async function goDirectOnServer(world: World, service: number, args?: readonly string[]) {
  const server = await world.server(STUN);
  return { server, ...(await goDirect(world, { publisher: server, subscriber: server }, service, args)) };
}

/** The next time that a program says it goes directly. */
export function directPath(program: Program): Promise<JsonEvent> {
  return program.event('path', { kind: 'direct' });
}

/** A search has come to nothing, as the program says. */
export function searchOver(program: Program): Promise<void> {
  const isOver = () => /^relayed (?!searching)/.test(pathsOf(program).at(-1) ?? '');
  return program.until(isOver, 'the end of the search');
}

/** A server that answers STUN, and a hostile one in front of it. */
export async function goodAndBad(
  world: World,
  tricks: Tricks,
): Promise<{ readonly good: TestServer; readonly bad: HostileServer }> {
  const good = await world.server(STUN);
  const bad = await HostileServer.start(good.url, tricks);
  world.onEnd(() => bad.close());
  return { good, bad };
}

/** A program's `path` events so far: how, and why not. */
export function pathsOf({ events }: Program): string[] {
  return events
    .filter(({ event }) => event === 'path')
    .map(({ kind, strategy, reason }) => [kind, strategy ?? reason].join(' '));
}

/** The port of the UDP socket at the other end, from a `path` event. */
export function remotePort({ remote }: JsonEvent): number {
  return Number(String(remote).split(':').pop());
}

/** One of the server's counters, all its labels together. */
export async function counter({ program }: TestServer, name: string): Promise<number> {
  const [, metrics] = /metrics.*?(127\.0\.0\.1:\d+)/.exec(program.stderr) ?? [];
  const text = await (await fetch(`http://${metrics}/metrics`)).text();
  const values = text.matchAll(new RegExp(`^underpass_${name}(?:\\{.*\\})? (\\S+)$`, 'gm'));
  return [...values].reduce((sum, [, value]) => sum + Number(value), 0);
}
