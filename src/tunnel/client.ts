import { silentLogger } from '../log.ts';
import { systemRuntime } from '../net/runtime.ts';
import type { ClientOptions, PublishedTunnel, PublishOptions, SubscribeOptions, Tunnel } from './api.ts';
import { Connection } from './connection.ts';
import type { TunnelEvent } from './events.ts';
import { Publisher } from './publisher.ts';
import { Store, userDirectories } from './store.ts';
import { Subscriber } from './subscriber.ts';

/** One connection to a server, for any number of tunnels. It is opened with the first of them. */
export class Client {
  readonly #connection: Connection;
  readonly #tunnels = new Set<Tunnel>();

  /** Throws `address_invalid` and `argument_invalid`. */
  constructor(options: ClientOptions) {
    const log = (options.logger ?? silentLogger).scope('client');
    const store = new Store(options.stateDir ?? userDirectories().state);
    this.#connection = new Connection(options, systemRuntime, log, store);
  }

  /** Publishes a local service under a name. Failures are events, and the last one is what `closed` resolves with. */
  publish(options: PublishOptions, onEvent: (event: TunnelEvent) => void): PublishedTunnel {
    return this.#keep(new Publisher(this.#connection, options, onEvent));
  }

  /** Brings the service that is published under a name to a local port. Failures as with `publish`. */
  subscribe(options: SubscribeOptions, onEvent: (event: TunnelEvent) => void): Tunnel {
    return this.#keep(new Subscriber(this.#connection, options, onEvent));
  }

  /** Closes every tunnel, gives the names back, and leaves the server. */
  async close(): Promise<void> {
    await Promise.all([...this.#tunnels].map((tunnel) => tunnel.close()));
    await this.#connection.close();
  }

  #keep<T extends Tunnel>(tunnel: T): T {
    this.#tunnels.add(tunnel);
    void tunnel.closed.then(() => this.#tunnels.delete(tunnel));
    return tunnel;
  }
}
