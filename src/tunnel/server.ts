import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { fingerprintOf, formatFingerprint } from '../certificate.ts';
import { asUnderpassError, UnderpassError } from '../errors.ts';
import { type Logger, silentLogger } from '../log.ts';
import { type StunServer, startStunServer } from '../nat/server.ts';
import { SourceProofs } from '../nat/source-proofs.ts';
import { formatAddress } from '../net/address.ts';
import { CIPHERS } from '../net/ciphers.ts';
import { parseTrustedProxies } from '../net/client-address.ts';
import { systemRuntime } from '../net/runtime.ts';
import { WebSocketListener, type WebSocketRoute } from '../net/websocket-server.ts';
import { planPunch } from '../punch/strategy.ts';
import { type RelayLink, RelayServer, type Usage } from '../relay/server.ts';
import type { LinkOpen } from '../signaling/hub-output.ts';
import type { PunchOutcome } from '../signaling/punch.ts';
import { MemoryRegistry } from '../signaling/registry.ts';
import { SignalingServer } from '../signaling/server.ts';
import { VERSION } from '../version.ts';
import type { RunningServer } from './api.ts';
import type { ServerConfig } from './config/server-config.ts';
import { Metrics } from './metrics.ts';
import { Store, userDirectories } from './store.ts';

export interface ServerOptions {
  readonly logger?: Logger;
  /** Where the certificate that the server makes for itself is kept. Default `~/.underpass`. */
  readonly stateDir?: string;
}

/** Starts a server. Rejects with `port_in_use`, `listen_failed`, `file_unreadable`, `file_unwritable`, `address_invalid`. */
export async function startServer(config: ServerConfig, options: ServerOptions = {}): Promise<RunningServer> {
  const server = new Server(config, options, await readCertificate(config, options.stateDir));
  await server.start();
  return server;
}

/** Signaling, relay and metrics behind one port. */
class Server implements RunningServer {
  #config: ServerConfig;
  readonly #log: Logger;
  readonly #certificate: Certificate | undefined;
  readonly #listener: WebSocketListener;
  readonly #signaling: SignalingServer;
  readonly #relay: RelayServer;
  readonly #metrics: Metrics;
  /** What STUN gives to clients, and signaling takes back. */
  readonly #proofs = new SourceProofs(systemRuntime.randomBytes(32));
  readonly warnings: string[] = [];
  #stun: StunServer | undefined;
  #port = 0;
  #onQuiet: (() => void) | undefined;

  constructor(
    config: ServerConfig,
    { logger = silentLogger }: ServerOptions,
    certificate: Certificate | undefined,
  ) {
    this.#config = config;
    this.#log = logger.scope('server');
    this.#certificate = certificate;
    this.#metrics = new Metrics({
      counts: () => ({ ...this.#signaling.counts, links: this.#relay.linkCount }),
      sessionsByNat: () => this.#signaling.sessionsByNat,
      stunAnswers: () => this.#stun?.answered ?? 0,
    });
    this.#relay = new RelayServer(config.limits, systemRuntime, {
      onBytes: (link, direction, bytes) => this.#metrics.relayed(direction, link.token, bytes),
      onLinkClosed: (link, usage) => this.#onRelayClosed(link, usage),
    });
    this.#signaling = new SignalingServer({
      ...policyOf(config),
      version: VERSION,
      registry: new MemoryRegistry(),
      planPunch,
      checkSource: (claim, now) => this.#proofs.check(claim, now),
      runtime: systemRuntime,
      log: logger.scope('signaling'),
      hooks: {
        onLinkOpen: (link) => this.#onLinkOpen(link),
        onLinkClosed: (link) => this.#relay.closeLink(idOf(link)),
        onSessionClosed: (session) => this.#relay.detach(session),
        onPunched: (outcome) => this.#onPunched(outcome),
        onDirectBytes: (direction, bytes) => this.#metrics.direct(direction, bytes),
        onFailure: (error) => this.#onFailure(error),
      },
    });
    this.#listener = new WebSocketListener({
      tls: certificate && { ...certificate, minVersion: 'TLSv1.2', ciphers: CIPHERS, honorCipherOrder: true },
      trustedProxies: parseTrustedProxies(config.trustedProxies),
      allow: (address) => this.#signaling.allow(address),
      routes: [this.#signaling.route, this.#dataRoute()],
      // Each session has two, and those that have yet to prove themselves need room.
      maxConnections: 2 * config.limits.sessions + 1024,
    });
  }

  get host(): string {
    return this.#config.listen.host;
  }

  get port(): number {
    return this.#port;
  }

  get listen(): string {
    return `${this.#config.listen.secure ? 'wss' : 'ws'}://${formatAddress(this.host, this.#port)}`;
  }

  get fingerprint(): string | undefined {
    return (
      this.#certificate && formatFingerprint(fingerprintOf(new X509Certificate(this.#certificate.cert).raw))
    );
  }

  get stun(): RunningServer['stun'] {
    return this.#stun && { addresses: this.#stun.addresses, ports: this.#stun.ports };
  }

  async start(): Promise<void> {
    const { listen, metrics } = this.#config;
    try {
      if (metrics !== undefined) {
        const port = await this.#metrics.listen(metrics.host, metrics.port);
        this.#log.info('metrics', { listen: formatAddress(metrics.host, port) });
      }
      // Before the first client is greeted, because the greeting names its ports.
      await this.#startStun();
      const address = await this.#listener.listen(listen.host, listen.port);
      this.#port = address.port;
    } catch (error) {
      this.#metrics.close();
      this.#stun?.close();
      throw error;
    }
    this.#log.info('listening', { listen: this.listen, tokens: this.#config.tokens.length });
  }

  reload(config: ServerConfig): void {
    this.#config = { ...config, listen: this.#config.listen };
    this.#signaling.reload(policyOf(config));
    this.#relay.reload(config.limits);
  }

  async drain(graceMs: number): Promise<void> {
    this.#listener.stopListening();
    this.#signaling.drain();
    if (this.#relay.linkCount === 0) return;
    await new Promise<void>((resolve) => {
      const timer = systemRuntime.setTimer(graceMs, resolve);
      this.#onQuiet = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  async close(): Promise<void> {
    this.#signaling.close();
    this.#relay.close();
    this.#metrics.close();
    this.#stun?.close();
    await this.#listener.close();
  }

  /** Where nobody asked for STUN, its ports being taken is no reason not to relay. */
  async #startStun(): Promise<void> {
    const { stun } = this.#config;
    if (stun === undefined) return;
    try {
      this.#stun = await startStunServer({ ...stun, proofs: this.#proofs }, systemRuntime, this.#log);
    } catch (error) {
      if (stun.required) throw error;
      const { code, message } = asUnderpassError(error);
      this.#log.warn('no STUN', { code, problem: message });
      this.warnings.push(
        `this server does not answer STUN (${message}), and its clients learn less about their NAT; set stun in its file, or --no-stun`,
      );
      return;
    }
    const { addresses, ports } = this.#stun;
    this.#signaling.announceStun({ addresses, ports });
  }

  #dataRoute(): WebSocketRoute {
    return {
      path: /^\/_data\/([0-9a-f]{32})$/,
      maxPayload: () => this.#config.limits.frame_bytes,
      admit: (id) => {
        const session = this.#signaling.takeDataSession(id);
        if (session === undefined) return 404;
        return (socket, transport) => this.#relay.attach(session, socket, transport);
      },
    };
  }

  #onLinkOpen(link: LinkOpen): void {
    if (!this.#relay.hasRoom(link.publisher)) {
      this.#signaling.linkClosed(link.link, 'too_many_links');
      return;
    }
    const { name: tunnel, token, publisher, subscriber } = link;
    this.#log.info('link opened', { tunnel });
    this.#relay.openLink({ id: idOf(link.link), tunnel, token, publisher, subscriber });
  }

  /** The one line of the log that says what a link has cost. */
  #onRelayClosed(link: RelayLink, { up, down, milliseconds }: Usage): void {
    this.#log.info('link closed', {
      tunnel: link.tunnel,
      publisher_token: link.token,
      up_bytes: up,
      down_bytes: down,
      seconds: Math.round(milliseconds / 1000),
    });
    this.#signaling.linkClosed(link.id.toString('base64url'));
    if (this.#relay.linkCount === 0) this.#onQuiet?.();
  }

  #onPunched(outcome: PunchOutcome): void {
    this.#metrics.searched(outcome);
    const { outcome: result, strategy, milliseconds } = outcome;
    this.#log.debug('search over', { result, strategy, milliseconds });
  }

  #onFailure({ code, message }: UnderpassError): void {
    this.#metrics.failed(code);
    this.#log.debug('a client was refused', { code, problem: message });
  }
}

interface Certificate {
  readonly cert: string;
  readonly key: string;
}

async function readCertificate(
  config: ServerConfig,
  stateDir: string | undefined,
): Promise<Certificate | undefined> {
  if (!config.listen.secure) return undefined;
  const { tls } = config;
  if (tls === undefined) return new Store(stateDir ?? userDirectories().state).serverCertificate();
  const certificate = { cert: await readPem(tls.cert), key: await readPem(tls.key) };
  try {
    createSecureContext(certificate);
  } catch (cause) {
    throw new UnderpassError('file_unreadable', { file: tls.cert, problem: problemOf(cause) }, { cause });
  }
  return certificate;
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new UnderpassError('file_unreadable', { file, problem: problemOf(cause) }, { cause });
  }
}

function problemOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function policyOf({ limits, tokens, directEnabled, rememberOutcomes }: ServerConfig) {
  return { limits, tokens, direct: directEnabled, rememberOutcomes };
}

function idOf(link: string): Buffer {
  return Buffer.from(link, 'base64url');
}
