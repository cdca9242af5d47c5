import { asUnderpassError, UnderpassError } from '../errors.ts';
import { type Logger, silentLogger } from '../log.ts';
import { measure, type NamedServer } from '../nat/client.ts';
import { type NatReport, reportOf } from '../nat/report.ts';
import { formatAddress, parseServerAddress, parseStunServer } from '../net/address.ts';
import { systemRuntime } from '../net/runtime.ts';
import { trustOf } from '../net/trust.ts';
import { UdpSocket } from '../net/udp-socket.ts';
import { fetchGreeting } from '../signaling/greeting-client.ts';
import { findRouter } from './port-forwarding.ts';
import { areRemote, namedStunServer, ownStunServer } from './stun-servers.ts';

/** How long the server may take to greet, and the router to forward a port, in milliseconds: all of it is under 2 s. */
const GREETING_TIME = 5000;
const MAPPING_TIME = 1000;

export interface MeasureNatOptions {
  /** An underpass server, whose STUN endpoints are asked. No token is needed. */
  readonly server?: string | undefined;
  /** Accept any certificate, and `ws://` to other machines. */
  readonly insecure?: boolean | undefined;
  readonly serverFingerprint?: string | undefined;
  /** Other STUN servers, `host[:port]` each. */
  readonly stun?: readonly string[] | undefined;
  /** Whether the router is asked to forward a port, which it is given back at the end. Default true. */
  readonly portMapping?: boolean | undefined;
  readonly logger?: Logger | undefined;
  /** Ends it early, with what is known by then. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Measures the network that this machine is in, once. Rejects with `server_missing` when there is nobody to ask, `stun_missing`,
 * `address_invalid`, `argument_invalid`, and, unless other STUN servers are named, with what keeps from reaching the server.
 */
export async function measureNat(options: MeasureNatOptions): Promise<NatReport> {
  const { stun = [], portMapping = true, logger = silentLogger, signal } = options;
  const log = logger.scope('nat');
  const runtime = systemRuntime;
  const startedAt = runtime.now();
  const others = await Promise.all(stun.map((text) => namedStunServer(parseStunServer(text))));
  const servers = [...(await underpassServer(options, others.length === 0)), ...others];
  const socket = await UdpSocket.open({ family: 4 });
  const { port } = socket.local;
  const mapper =
    portMapping && areRemote(servers)
      ? await findRouter({ localPort: port, runtime, log, upnpTimeoutMs: MAPPING_TIME }, () => {})
      : undefined;
  const [{ findings, socket: measured }, mapping] = await Promise.all([
    measure({ servers, socket, runtime, log, signal }),
    mapper?.start(),
  ]);
  measured.close();
  const report = reportOf(findings, { mapping, refusal: mapper?.refusal });
  await mapper?.close();
  return { ...report, elapsed_ms: Math.round(runtime.now() - startedAt) };
}

/** The server's own STUN endpoints; with other servers to ask, a server that cannot tell its own is only reported. */
async function underpassServer(options: MeasureNatOptions, alone: boolean): Promise<NamedServer[]> {
  const { server, signal } = options;
  if (server === undefined) {
    if (alone) throw new UnderpassError('server_missing');
    return [];
  }
  const address = parseServerAddress(server);
  const trust = trustOf(options);
  try {
    const { stun } = await fetchGreeting({ address, trust, timeoutMs: GREETING_TIME, signal });
    if (stun === undefined) throw new UnderpassError('stun_missing', { host: address.host });
    return [await ownStunServer(address, stun)];
  } catch (error) {
    if (alone) throw error;
    const { code, message } = asUnderpassError(error);
    (options.logger ?? silentLogger)
      .scope('nat')
      .warn('the server does not help', { code, problem: message });
    return [{ name: formatAddress(address.host, address.port), endpoints: [] }];
  }
}
