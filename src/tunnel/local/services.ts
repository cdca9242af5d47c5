import { isIP } from 'node:net';
import type { UnderpassError } from '../../errors.ts';
import type { Endpoint } from '../../net/endpoint.ts';
import type { Runtime } from '../../net/runtime.ts';
import type { PublishSettings } from '../options.ts';
import { UdpService } from '../udp/udp-service.ts';
import { portOf } from './ports.ts';
import { Service } from './service.ts';

/** What a publisher offers on this machine, over TCP and over UDP. */
export class Services {
  readonly tcp: Service;
  readonly udp: UdpService;
  /** Whether they are told who connects. */
  readonly proxyProtocol: boolean;
  readonly #settings: PublishSettings;

  /**
   * @param name the tunnel's, for errors
   * @param onFailure one of them could not be reached, or a peer broke the protocol
   */
  constructor(
    name: string,
    settings: PublishSettings,
    runtime: Runtime,
    onFailure: (error: UnderpassError) => void,
  ) {
    const { ports, localHost, udpIdle, proxyProtocol } = settings;
    this.#settings = settings;
    this.proxyProtocol = proxyProtocol;
    this.tcp = new Service({ name, localHost, ports }, onFailure);
    const targets = ports.map((_, number) => {
      const port = portOf(ports, number, 'udp');
      return port === undefined ? undefined : { host: localHost, port };
    });
    this.udp = new UdpService({ runtime, name, targets, idle: udpIdle, onFailure });
  }

  /** Where the UDP service with this number is, as far as that can be told without asking it. */
  udpAddress(number: number): Endpoint {
    const { ports, localHost } = this.#settings;
    const address = isIP(localHost) === 0 ? '127.0.0.1' : localHost;
    return { address, port: portOf(ports, number, 'udp') ?? 0 };
  }
}
