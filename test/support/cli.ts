import type { Context, StopReason } from '../../src/cli/context.ts';
import { createView, run } from '../../src/cli/program.ts';
import type { UnderpassError } from '../../src/errors.ts';
import type {
  ClientOptions,
  MeasureNatOptions,
  NatReport,
  PeerStatus,
  PublishOptions,
  RunningServer,
  ServerConfig,
  SubscribeOptions,
  TunnelEvent,
} from '../../src/index.ts';
import { type Logger, silentLogger } from '../../src/log.ts';
import { natReport } from './nat-report.ts';

type Opened = {
  readonly options: PublishOptions | SubscribeOptions;
  /** Who is connected, as the tunnel would say. */
  peers: readonly PeerStatus[];
  readonly emit: (event: TunnelEvent) => void;
  /** Ends the tunnel, as the client would. */
  readonly end: (error?: UnderpassError) => void;
};

/** The program with a pretended world around it: no server, no client, no signal is real. */
export class FakeWorld {
  stdout = '';
  stderr = '';
  readonly clients: ClientOptions[] = [];
  readonly tunnels: Opened[] = [];
  readonly servers: ServerConfig[] = [];
  readonly measurements: MeasureNatOptions[] = [];
  /** How the measurements of the NAT end. */
  measured: () => Promise<NatReport> = async () => natReport();
  readonly calls: string[] = [];
  /** Writes a line to standard input; undefined while nobody listens. */
  type: ((line: string) => void) | undefined;
  isTerminal = true;
  readonly environment: Record<string, string> = {};
  homeDirectory = '/nowhere';
  hangup: () => void = () => {};
  stop: (reason: StopReason) => void = () => {};
  /** What `createLogger` was asked for. */
  readonly loggers: string[] = [];
  readonly logged: string[] = [];

  readonly context: Context = {
    environment: this.environment,
    homeDirectory: '',
    stdout: {
      color: false,
      write: (text) => {
        this.stdout += text;
      },
    },
    stderr: {
      color: false,
      write: (text) => {
        this.stderr += text;
      },
    },
    input: {
      isTerminal: true,
      onLine: (callback) => {
        this.type = callback;
      },
    },
    signals: {
      stopped: new Promise((resolve) => {
        this.stop = resolve;
      }),
      onHangup: (callback) => {
        this.hangup = callback;
      },
    },
    now: () => new Date(0),
    createLogger: (level, format) => {
      this.loggers.push(`${level} ${format}`);
      const keep = (message: string, fields?: object) =>
        void this.logged.push(`${message} ${JSON.stringify(fields)}`);
      const logger: Logger = { ...silentLogger, info: keep, error: keep, scope: () => logger };
      return logger;
    },
    createClient: (options) => {
      this.clients.push(options);
      return {
        publish: (tunnel, onEvent) => this.#open(tunnel, onEvent),
        subscribe: (tunnel, onEvent) => this.#open(tunnel, onEvent),
        close: async () => {
          this.calls.push('client closed');
          for (const tunnel of this.tunnels) tunnel.end();
        },
      };
    },
    startServer: async (config) => {
      this.servers.push(config);
      const running: RunningServer = {
        listen: 'wss://0.0.0.0:4040',
        host: '0.0.0.0',
        port: 4040,
        fingerprint: 'ab'.repeat(32),
        stun: config.stun && { addresses: [], ports: config.stun.ports },
        warnings: [],
        reload: (next) => void this.servers.push(next),
        drain: async (graceMs) => void this.calls.push(`drained ${graceMs}`),
        close: async () => void this.calls.push('server closed'),
      };
      return running;
    },
    measureNat: (options) => {
      this.measurements.push(options);
      return this.measured();
    },
  };

  /** Runs the program as if `underpass` had been called with these arguments. */
  run(...argv: string[]): Promise<number> {
    const input = { ...this.context.input, isTerminal: this.isTerminal };
    const context = { ...this.context, homeDirectory: this.homeDirectory, input };
    return run(argv, context, createView(argv, context));
  }

  /** The lines of standard output, parsed. Each must be JSON. */
  get json(): Record<string, unknown>[] {
    return this.stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }

  #open(options: PublishOptions | SubscribeOptions, emit: (event: TunnelEvent) => void) {
    let end: (error?: UnderpassError) => void = () => {};
    const closed = new Promise<UnderpassError | undefined>((resolve) => {
      end = resolve;
    });
    const opened: Opened = { options, peers: [], emit, end };
    this.tunnels.push(opened);
    const closePeer = (peer: string) => {
      this.calls.push(`closed ${peer}`);
      return opened.peers.some((known) => known.peer === peer);
    };
    return { closed, close: async () => end(), peers: () => opened.peers, closePeer };
  }
}
