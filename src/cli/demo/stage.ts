import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UnderpassError } from '../../errors.ts';
import { loadServerConfig, type Tunnel, type TunnelEvent } from '../../index.ts';
import type { Logger } from '../../log.ts';
import type { Context } from '../context.ts';
import { PathWatch } from './path-watch.ts';

/** What is published. */
export interface Service {
  readonly localHost: string;
  readonly localPort: number;
}

/** A subscriber's tunnel. */
export interface Entrance {
  /** Where it listens. */
  readonly listen: string;
  /** Which path it takes. */
  readonly paths: PathWatch;
}

/** A server, a publisher and a subscriber in this process. */
export interface Stage extends Entrance {
  readonly server: string;
  /** The same, but never direct; a tunnel of its own. */
  openRelayed(): Promise<Entrance>;
  /** Resolves when a tunnel has ended by itself. */
  readonly failed: Promise<UnderpassError>;
  close(): Promise<void>;
}

const NAME = 'demo';
const READY_SECONDS = 30;
const HOST = '127.0.0.1';
/** On this machine alone, and with ports that nobody else has. */
const STUN = { addresses: [HOST], publicAddresses: undefined, ports: [0, 0], required: false };

/** Builds a tunnel around a service, with a secret of its own. What it keeps on disk goes with it. */
export async function buildStage(service: Service, context: Context, logger: Logger): Promise<Stage> {
  const cleanups: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  };
  try {
    const folder = await mkdtemp(join(tmpdir(), 'underpass-demo-'));
    cleanups.push(() => rm(folder, { recursive: true, force: true }));

    const config = { ...loadServerConfig(undefined, { listen: `${HOST}:0` }), stun: STUN };
    const server = await context.startServer(config, { logger, stateDir: join(folder, 'server') });
    cleanups.push(() => server.close());

    // Two clients, as on two machines: nothing but the server connects them.
    const connect = (who: string) => {
      const stateDir = join(folder, who);
      const { listen, fingerprint: serverFingerprint } = server;
      const access = { server: listen, serverFingerprint, stateDir, logger };
      // The router has nothing to do with it.
      const client = context.createClient({ ...access, portMapping: false });
      cleanups.push(() => client.close());
      return client;
    };
    const secret = randomBytes(16).toString('base64url');
    const publisher = connect('publisher');
    const [published] = await ready((onEvent) =>
      publisher.publish({ ...service, name: NAME, secret }, onEvent),
    );
    const subscriber = connect('subscriber');
    const enter = async (mode: 'auto' | 'relay') => {
      const paths = new PathWatch(NAME);
      const [tunnel, listen] = await ready((onEvent) =>
        subscriber.subscribe({ target: NAME, secret, localPort: 0, mode }, (event) => {
          if (event.event === 'path') paths.tell(event);
          onEvent(event);
        }),
      );
      return { tunnel, listen, paths };
    };
    const { tunnel: subscribed, ...entrance } = await enter('auto');
    return {
      ...entrance,
      server: server.listen,
      openRelayed: () => enter('relay'),
      failed: Promise.race([failure(published), failure(subscribed)]),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Opens a tunnel and waits until it works. Resolves with it and, for a subscriber, where it listens. */
async function ready(open: (onEvent: (event: TunnelEvent) => void) => Tunnel): Promise<[Tunnel, string]> {
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise((resolve, reject) => {
      timer = setTimeout(
        () => reject(new UnderpassError('peer_timeout', { name: NAME })),
        READY_SECONDS * 1000,
      );
      const tunnel = open((event) => {
        // The event may come before `open` has returned.
        if (event.event === 'ready') {
          queueMicrotask(() => resolve([tunnel, event.role === 'subscriber' ? event.listen : '']));
        }
      });
      void failure(tunnel).then(reject);
    });
  } finally {
    clearTimeout(timer);
  }
}

async function failure({ closed }: Tunnel): Promise<UnderpassError> {
  return (await closed) ?? new UnderpassError('peer_lost', { name: NAME });
}
