import type { ByteStream } from '../../src/carrier.ts';
import type { Certificate } from '../../src/certificate.ts';
import { silentLogger } from '../../src/log.ts';
import type { Endpoint } from '../../src/net/endpoint.ts';
import { systemRuntime as runtime } from '../../src/net/runtime.ts';
import { SharedSocket } from '../../src/net/shared-socket.ts';
import { type DatagramSocket, type SendOptions, UdpSocket } from '../../src/net/udp-socket.ts';
import type { Role } from '../../src/punch/keys.ts';
import { RelayCarrier } from '../../src/relay/carrier.ts';
import type { SealedMessage } from '../../src/signaling/peer-message.ts';
import type { Connection } from '../../src/tunnel/connection.ts';
import { DirectSearch } from '../../src/tunnel/direct/direct-search.ts';
import type { Standpoint } from '../../src/tunnel/direct/standpoint.ts';
import { EarlyListener } from '../../src/tunnel/link/early-listener.ts';
import { Link, type LinkOptions } from '../../src/tunnel/link/link.ts';
import { ours, stranger, theirs } from './carrier-pair.ts';
import { Application } from './link-pair.ts';
import { muxPair } from './mux-pair.ts';
import { peerSecrets } from './peer-secrets.ts';
import { quiche, until } from './quic-pair.ts';
import { coneVerdict } from './verdict.ts';

/** A UDP socket behind a cable that can be pulled out. */
class Cable implements DatagramSocket {
  readonly #socket: UdpSocket;
  pulled = false;
  closed = false;

  constructor(socket: UdpSocket) {
    this.#socket = socket;
  }

  get local(): Endpoint {
    return this.#socket.local;
  }

  onPacket(...[kind, handler]: Parameters<DatagramSocket['onPacket']>): void {
    this.#socket.onPacket(kind, handler && ((bytes, from) => this.pulled || handler(bytes, from)));
  }

  send(bytes: Buffer, to: Endpoint, options?: SendOptions): boolean {
    return this.pulled || this.#socket.send(bytes, to, options);
  }

  close(): void {
    this.closed = true;
    this.#socket.close();
  }
}

/** One end of a link with all that belongs to it, but for the server. */
class DirectEnd {
  readonly role: Role;
  readonly link: Link;
  readonly cable: Cable;
  readonly search: DirectSearch;
  readonly paths: string[] = [];
  /** What it told the server. */
  readonly said: string[] = [];
  readonly accepted: Application[] = [];
  readonly #connection: Connection;
  over = false;

  constructor(role: Role, cable: Cable, server: Server) {
    this.role = role;
    this.cable = cable;
    this.link = new Link({
      ...{
        name: 'my-game',
        runtime,
        maxChannels: 10,
        mayRelay: true,
        grace: 60_000,
        buffers: 64 * 1024 * 1024,
      },
      ...(role === 'publisher' &&
        ({
          onChannel: (_header, accept) => {
            const application = new Application();
            application.channel = accept(application);
            this.accepted.push(application);
          },
        } satisfies Pick<LinkOptions, 'onChannel'>)),
      onPath: (path) => this.paths.push(path.kind === 'direct' ? path.strategy : path.reason),
      onRelayLost: () => this.paths.push('relay lost'),
      onClosing: () => this.search.close(),
      onClose: () => {
        this.over = true;
      },
    });
    const standpoint: Standpoint = {
      sockets: { 4: new SharedSocket(cable) },
      measured: { verdict: coneVerdict, reflexive: cable.local },
      candidates: [{ kind: 'host', ...cable.local }],
      loopback: true,
    };
    const connection = {
      ...{ runtime, log: silentLogger, quiche, online: true, standpoint },
      listen: () => {},
      unlisten: () => {},
      check: () => {},
      takeTurn: () => true,
      giveTurn: () => {},
      signaling: {
        sendPeerMessage: (_: string, message: SealedMessage) => server.pass(this, message),
        armed: () => server.armed(this),
        punchResult: (_: string, _step: number, { result }: { result: string }) => this.said.push(result),
        punchAgain: () => this.said.push('again'),
        directBytes: (_: string, received: number) => this.said.push(received > 0 ? 'bytes' : 'nothing'),
      },
    };
    this.#connection = connection as unknown as Connection;
    this.search = new DirectSearch({ connection: this.#connection, role, name: 'my-game' });
  }

  begin(certificate: Certificate, peer: Certificate): void {
    const secrets = peerSecrets();
    const early = new EarlyListener(this.#connection, secrets.transcript.link.toString('base64url'));
    this.search.begin(
      {
        ...{ ...secrets, link: this.link, certificate, peerFingerprint: peer.fingerprint },
        ...{ maxStreams: 20, refusal: undefined, onRelay: () => {}, onTrouble: () => {} },
      },
      early,
    );
  }
}

/** Orders steps, and passes on what the two say: as a server does, but for the network between. */
class Server {
  readonly ends: DirectEnd[] = [];
  readonly #armed = new Set<DirectEnd>();
  #step = 0;

  /** Both begin another search, which has this one step. */
  order(strategy = 'host'): void {
    const number = ++this.#step;
    this.#armed.clear();
    this.#tell(({ search }) =>
      search.onPunchStep({
        ...{ type: 'p2p_step', link: '', search: number, step: number, attempt: 1 },
        plan: { strategies: [strategy], tries: 1 },
      }),
    );
  }

  armed(by: DirectEnd): void {
    this.#armed.add(by);
    if (this.#armed.size === 2) this.#tell(({ search }) => search.onPunchGo(this.#step));
  }

  pass(from: DirectEnd, message: SealedMessage): void {
    this.#tell((end) => end !== from && end.search.onPeerMessage(message));
  }

  #tell(act: (end: DirectEnd) => void): void {
    for (const end of this.ends) setImmediate(act, end);
  }
}

/**
 * Two ends of a link on this machine: relayed by real TLS through memory, with real UDP sockets and real QUIC for the direct path.
 * @param impostor whether the publisher shows another certificate on the direct path than it has announced
 */
export async function directPair({ impostor = false } = {}) {
  const server = new Server();
  const cables = await Promise.all(
    [0, 1].map(async () => new Cable(await UdpSocket.open({ family: 4, host: '127.0.0.1' }))),
  );
  const [near, far] = cables as [Cable, Cable];
  const subscriber = new DirectEnd('subscriber', near, server);
  const publisher = new DirectEnd('publisher', far, server);
  server.ends.push(subscriber, publisher);

  const mux = muxPair(runtime);
  const outer = mux.client.mux.open() as ByteStream;
  await until(() => mux.server.accepted.length > 0);
  const streams = [outer, mux.server.accepted[0] as ByteStream];
  await Promise.all(
    server.ends.map(async ({ role, link }, i) => {
      const [certificate, peer] = role === 'subscriber' ? [ours, theirs] : [theirs, ours];
      const handler = link.handler('relayed');
      const rest = { role, name: 'my-game', runtime, certificate, maxStreams: 20 };
      const options = { ...rest, peerFingerprint: peer.fingerprint };
      link.attach(
        handler,
        await RelayCarrier.establish({ bulk: streams[i] as ByteStream }, options, handler),
      );
    }),
  );
  subscriber.begin(ours, theirs);
  publisher.begin(impostor ? stranger : theirs, ours);
  for (const { search } of server.ends) search.relayIsUp();
  return {
    ...{ subscriber, publisher, server, ends: server.ends },
    open() {
      const application = new Application();
      return Object.assign(application, { channel: subscriber.link.open(0, application) });
    },
    /** All sockets have to be closed then. */
    close(): void {
      for (const { link, search } of server.ends) {
        link.close();
        search.close();
      }
      for (const cable of cables) if (!cable.closed) cable.close();
    },
  };
}
