import { asUnderpassError, UnderpassError } from '../errors.ts';
import { type Logger, silentLogger } from '../log.ts';
import { measure, type NamedServer } from '../nat/client.ts';
import { type NatReport, reportOf } from '../nat/report.ts';
import { formatAddress, parseServerAddress, parseStunServers } from '../net/address.ts';
import { systemRuntime } from '../net/runtime.ts';
import { trustOf } from '../net/trust.ts';
import { UdpSocket } from '../net/udp-socket.ts';
import { fetchGreeting } from '../signaling/greeting-client.ts';
import { findRouter } from './direct/port-forwarding.ts';
import { namedStunServer, ownStunServer, remoteEndpoint } from './direct/stun-servers.ts';

/** How long the server may take to greet, alone and while others could be asked, and the router to forward a port, in milliseconds. */
const GREETING_TIME = 5000;
const GREETING_TIME_WITH_OTHERS = 500;
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
  const others = parseStunServers(stun);
  const [own, ...named] = await Promise.all([
    underpassServer(options, others.length === 0),
    ...others.map(namedStunServer),
  ]);
  const servers = own ? [own, ...named] : named;
  const socket = await UdpSocket.open({ family: 4 });
  const router = { localPort: socket.local.port, towards: remoteEndpoint(servers), runtime, log };
  const mapper =
    portMapping && !signal?.aborted
      ? await findRouter({ ...router, upnpTimeoutMs: MAPPING_TIME }, () => {})
      : undefined;
  const giveBack = () => void mapper?.close();
  signal?.addEventListener('abort', giveBack, { once: true });
  if (signal?.aborted) giveBack();
  try {
    const [{ findings, socket: measured }, mapping] = await Promise.all([
      measure({ servers, socket, runtime, log, signal }),
      mapper?.start(),
    ]);
    measured.close();
    const report = reportOf(findings, mapper && { mapping, refusal: mapper.refusal });
    await mapper?.close();
    return { ...report, elapsed_ms: Math.round(runtime.now() - startedAt) };
  } finally {
    signal?.removeEventListener('abort', giveBack);
    socket.close();
    giveBack();
  }
}

/** The server's own STUN endpoints; with other servers to ask, a server that cannot tell its own is only reported. */
async function underpassServer(options: MeasureNatOptions, alone: boolean): Promise<NamedServer | undefined> {
  const { server, signal } = options;
  if (server === undefined) {
    if (alone) throw new UnderpassError('server_missing');
    return undefined;
  }
  const address = parseServerAddress(server);
  const trust = trustOf(options);
  const timeoutMs = alone ? GREETING_TIME : GREETING_TIME_WITH_OTHERS;
  try {
    const { stun } = await fetchGreeting({ address, trust, timeoutMs, signal });
    if (stun === undefined) throw new UnderpassError('stun_missing', { host: address.host });
    return await ownStunServer(address, stun);
  } catch (error) {
    if (alone) throw error;
    const { code, message } = asUnderpassError(error);
    (options.logger ?? silentLogger)
      .scope('nat')
      .warn('the server does not help', { code, problem: message });
    return { name: formatAddress(address.host, address.port), endpoints: [] };
  }
}
