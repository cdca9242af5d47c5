import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UnderpassError } from '../../errors.ts';
import { loadServerConfig, type Tunnel, type TunnelEvent } from '../../index.ts';
import type { Logger } from '../../log.ts';
import type { Context } from '../context.ts';

/** What is published. */
export interface Service {
  readonly localHost: string;
  readonly localPort: number;
}

/** A server, a publisher and a subscriber in this process. */
export interface Stage {
  readonly server: string;
  /** Where the subscriber listens. */
  readonly listen: string;
  /** Resolves when a tunnel has ended by itself. */
  readonly failed: Promise<UnderpassError>;
  close(): Promise<void>;
}

const NAME = 'demo';
const READY_SECONDS = 30;

/** Builds a tunnel around a service, with a secret of its own. What it keeps on disk goes with it. */
export async function buildStage(service: Service, context: Context, logger: Logger): Promise<Stage> {
  const cleanups: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  };
  try {
    const folder = await mkdtemp(join(tmpdir(), 'underpass-demo-'));
    cleanups.push(() => rm(folder, { recursive: true, force: true }));

    const config = loadServerConfig(undefined, { listen: '127.0.0.1:0', stunEnabled: false });
    const server = await context.startServer(config, { logger, stateDir: join(folder, 'server') });
    cleanups.push(() => server.close());

    // Two clients, as on two machines: nothing but the server connects them.
    const connect = (who: string) => {
      const stateDir = join(folder, who);
      const { listen, fingerprint: serverFingerprint } = server;
      const client = context.createClient({ server: listen, serverFingerprint, stateDir, logger });
      cleanups.push(() => client.close());
      return client;
    };
    const secret = randomBytes(16).toString('base64url');
    const publisher = connect('publisher');
    const [published] = await ready((onEvent) =>
      publisher.publish({ ...service, name: NAME, secret }, onEvent),
    );
    const subscriber = connect('subscriber');
    const [subscribed, listen] = await ready((onEvent) =>
      subscriber.subscribe({ target: NAME, secret, localPort: 0 }, onEvent),
    );
    return {
      server: server.listen,
      listen,
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
