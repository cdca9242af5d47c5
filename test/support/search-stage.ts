import { silentLogger } from '../../src/log.ts';
import { SharedSocket } from '../../src/net/shared-socket.ts';
import type { FromServer } from '../../src/signaling/messages.ts';
import { type PeerBody, type PeerCandidate, PeerMessages } from '../../src/signaling/peer-message.ts';
import type { Connection } from '../../src/tunnel/connection.ts';
import { DirectSearch } from '../../src/tunnel/direct/direct-search.ts';
import type { Standpoint } from '../../src/tunnel/direct/standpoint.ts';
import { EarlyListener } from '../../src/tunnel/link/early-listener.ts';
import { Link } from '../../src/tunnel/link/link.ts';
import type { LinkListener } from '../../src/tunnel/link/link-listener.ts';
import { ours, theirs } from './carrier-pair.ts';
import { FakeCarrier } from './fake-carrier.ts';
import { FakeDirectPath } from './fake-direct-path.ts';
import { peerSecrets } from './peer-secrets.ts';
import { coneVerdict } from './verdict.ts';
import { VirtualRuntime } from './virtual-runtime.ts';
import { virtualWorld } from './virtual-world.ts';

type Role = 'subscriber' | 'publisher';
type Plan = FromServer<'p2p_step'>['plan'];

/** What a step is about by default. */
const EXCHANGE: Plan = { strategies: ['direct'], tries: 1 };

/** A place to stand at, with a socket of its own. */
export function standpoint(changes: Partial<Standpoint> = {}): Standpoint {
  const host = virtualWorld().internet.addHost('45.80.7.7');
  return {
    sockets: { 4: new SharedSocket(host.open({ family: 4, port: 5000 })) },
    measured: { verdict: coneVerdict },
    candidates: [{ kind: 'host', address: '192.168.1.2', port: 5000 }],
    loopback: false,
    ...changes,
  };
}

/** One end's search, with a server, a peer and paths that do what the test says, and a diary of what it says to the server. */
export function searchStage({ role = 'subscriber' as Role, refusal = undefined as string | undefined } = {}) {
  const runtime = new VirtualRuntime();
  const said: string[] = [];
  const paths: string[] = [];
  const troubles: string[] = [];
  const relays: string[] = [];
  const secrets = peerSecrets();
  const { peerKey, transcript } = secrets;
  const messages = (of: Role) => new PeerMessages({ ...secrets, role: of, name: 'test' });
  let peer = messages(role === 'subscriber' ? 'publisher' : 'subscriber');
  const listeners = new Map<string, LinkListener>();
  const connection = {
    ...{ runtime, log: silentLogger, quiche: {} as object | undefined, online: true },
    standpoint: standpoint() as Standpoint | undefined,
    listen: (link: string, listener: LinkListener) => listeners.set(link, listener),
    unlisten: (link: string) => listeners.delete(link),
    /** Whether another link has the turn. */
    isTaken: false,
    /** How often it was told that the network is doubted. */
    checks: 0,
    check: () => {
      connection.checks += 1;
    },
    takeTurn: () => !connection.isTaken,
    giveTurn: () => {},
    signaling: {
      sendPeerMessage(_: string, message: Parameters<PeerMessages['open']>[0]) {
        const body = peer.open(message);
        if (body?.kind === 'candidates') said.push(`at ${body.candidates.map(({ port }) => port)}`);
        else if (body) said.push(`predicted for ${body.step}`);
      },
      armed: (_: string, step: number) => said.push(`armed ${step}`),
      punchResult: (_: string, step: number, { result, strategy }: { result: string; strategy?: string }) =>
        said.push(`${result}${strategy ? ` by ${strategy}` : ''} ${step}`),
      punchAgain: (_: string, search: number) => said.push(`again ${search}`),
      closeLink: (link: string) => said.push(`closed ${link}`),
      directBytes: (_: string, received: number) => said.push(`bytes ${received}`),
    },
  };
  const made = () => FakeDirectPath.made.filter(({ options }) => options.punch.runtime === runtime);
  const link = new Link({
    ...{ name: 'test', runtime, maxChannels: 10, mayRelay: true, grace: 60_000, buffers: 64 * 1024 * 1024 },
    onPath: (path) => paths.push(path.kind === 'direct' ? `direct ${path.elapsed}` : path.reason),
    onRelayLost: () => {},
    onClose: () => {},
  });
  const relay = link.handler('relayed');
  link.attach(relay, new FakeCarrier('relayed', relay));
  paths.length = 0;
  const options = {
    connection: connection as unknown as Connection,
    role,
    name: 'test',
  };
  const search = new DirectSearch(options);
  const linkId = (id: Buffer) => id.toString('base64url');
  const early = new EarlyListener(options.connection, linkId(transcript.link));
  /** Whom the server's notices reach; who has gone away must not mind them. */
  const listener = () => [...listeners.values()].at(-1) ?? search;
  const meet = (as: typeof transcript, heard: EarlyListener) =>
    search.begin(
      {
        ...{ link, peerKey, refusal, transcript: as, certificate: ours, peerFingerprint: theirs.fingerprint },
        maxStreams: 20,
        onRelay: (reason) => relays.push(reason),
        onTrouble: ({ code }) => troubles.push(code),
      },
      heard,
    );
  return {
    ...{ runtime, connection, link, search, listener, troubles, relays, listeners, messages },
    /** What the server was told since the last time, and the user of paths. */
    said: () => said.splice(0),
    paths: () => paths.splice(0),
    begin: () => meet(transcript, early),
    /** The server has forgotten the link, and its ends meet again. */
    beginAgain() {
      const again = { ...transcript, link: runtime.randomBytes(16) };
      const other = role === 'subscriber' ? 'publisher' : 'subscriber';
      peer = new PeerMessages({ ...secrets, transcript: again, role: other, name: 'test' });
      meet(again, new EarlyListener(options.connection, linkId(again.link)));
    },
    /** The server orders a try. */
    step: (number: number, { search: of = 1, plan = EXCHANGE as Partial<Plan> } = {}) =>
      listener().onPunchStep({
        ...{ type: 'p2p_step', link: '', search: of, step: number, attempt: 1 },
        plan: { ...EXCHANGE, ...plan },
      }),
    /** The peer says so. */
    hear: (body: PeerBody) => listener().onPeerMessage(peer.seal(body)),
    hearOf: (...ports: number[]) =>
      listener().onPeerMessage(peer.seal({ kind: 'candidates', candidates: at(...ports) })),
    move(changes: Partial<Standpoint> = {}) {
      connection.standpoint = standpoint(changes);
      search.onStandpoint(connection.standpoint);
    },
    /** The paths that are being looked for, or are in use, or were. */
    get made(): readonly FakeDirectPath[] {
      return made();
    },
    get latest(): FakeDirectPath {
      const path = made().at(-1);
      if (path === undefined) throw new Error('no path is being looked for');
      return path;
    },
  };
}

/** Addresses of the peer's. */
export function at(...ports: number[]): PeerCandidate[] {
  return ports.map((port) => ({ kind: 'host', address: '192.168.2.3', port }));
}

/** One that has begun, and has said where it is. */
export function begun(options?: Parameters<typeof searchStage>[0]) {
  const stage = searchStage(options);
  stage.begin();
  stage.said();
  return stage;
}

/** One with a path, found in search 1 and step 1. */
export function direct(options?: Parameters<typeof searchStage>[0]) {
  const stage = begun(options);
  stage.step(1);
  stage.latest.up();
  stage.said();
  stage.paths();
  return stage;
}
