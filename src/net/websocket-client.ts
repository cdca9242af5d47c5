import { once } from 'node:events';
import * as net from 'node:net';
import * as tls from 'node:tls';
import { WebSocket } from 'ws';
import { UnderpassError } from '../errors.ts';
import { isLoopback, type ServerAddress } from './address.ts';
import { localInterfaces } from './interfaces.ts';
import { scopeOf } from './ip.ts';
import { checkServerCertificate, clientTlsOptions, type Trust } from './trust.ts';

/** What `connectWebSocket` needs to know. */
export interface ConnectOptions {
  readonly address: ServerAddress;
  /** Appended to the address, as `/_control`. */
  readonly path: string;
  readonly trust: Trust;
  /** The longest message to accept, in bytes. */
  readonly maxPayload: number;
  /** How long all of it may take, in milliseconds. */
  readonly timeout: number;
  readonly signal?: AbortSignal;
}

/** A WebSocket, and the socket that it runs on: corked, that takes several messages with one system call. */
export interface OpenWebSocket {
  readonly websocket: WebSocket;
  readonly transport: net.Socket;
}

/**
 * Opens a WebSocket; the upgrade request is the first thing sent, after the certificate was accepted. Attach listeners
 * at once: messages start with the next turn of the event loop. `error` is listened to already, and `close` follows it.
 * Throws `plain_refused`, `server_unreachable`, `server_untrusted`, and what the server's HTTP status means:
 * `auth_failed`, `rate_limited`, `server_full`.
 */
export async function connectWebSocket(options: ConnectOptions): Promise<OpenWebSocket> {
  const { address, trust, timeout } = options;
  const { host } = address;
  if (!address.secure && !isLoopback(host) && !trust.insecure) {
    throw new UnderpassError('plain_refused', { host });
  }
  const deadline = AbortSignal.timeout(timeout);
  const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline;
  try {
    const transport = await openSocket(address, trust, signal);
    return { websocket: await upgrade(transport, options, signal), transport };
  } catch (cause) {
    if (cause instanceof UnderpassError) throw cause;
    const problem = deadline.aborted ? 'timed out' : describe(cause);
    throw new UnderpassError('server_unreachable', { host, problem }, { cause });
  }
}

/**
 * Ends a WebSocket at once whose own address is not this machine's any more: nothing can come back to it, and nobody would ever say so.
 * Returns whether it is one.
 */
export function dropIfStranded({ websocket, transport }: OpenWebSocket): boolean {
  if (
    !isStranded(
      transport.localAddress,
      localInterfaces().map(({ address }) => address),
    )
  )
    return false;
  websocket.terminate();
  return true;
}

/** @param own this machine's addresses; empty where the system does not tell them */
export function isStranded(local: string | undefined, own: readonly string[]): boolean {
  if (local === undefined || own.length === 0) return false;
  // Of these the system lists but one, and of those not the interface that we know them by.
  const plain = local.replace(/^::ffff:/i, '').replace(/%.*$/, '');
  return scopeOf(plain) !== 'loopback' && !own.includes(plain);
}

/** A connected socket whose server has been accepted and to which nothing has been written. */
async function openSocket(address: ServerAddress, trust: Trust, signal: AbortSignal): Promise<net.Socket> {
  const { host, port } = address;
  // SNI carries names only.
  const servername = net.isIP(host) ? '' : host;
  const socket = address.secure
    ? tls.connect({ host, port, servername, ALPNProtocols: ['http/1.1'], ...clientTlsOptions() })
    : net.connect({ host, port });
  try {
    await once(socket, address.secure ? 'secureConnect' : 'connect', { signal });
    if (socket instanceof tls.TLSSocket) checkServerCertificate(socket, host, trust);
    return socket;
  } catch (error) {
    // A second error may follow the first, and there is nobody left to tell.
    socket.on('error', () => socket.destroy());
    socket.destroy();
    throw error;
  }
}

function upgrade(socket: net.Socket, options: ConnectOptions, signal: AbortSignal): Promise<WebSocket> {
  const { address, path, maxPayload } = options;
  const websocket = new WebSocket(address.url + path, {
    createConnection: () => socket,
    perMessageDeflate: false,
    maxPayload,
    // Masks protect old proxies from chosen bytes in plain text (RFC 6455 section 10.3): there are none here.
    ...(address.secure || isLoopback(address.host) ? { generateMask: zeroMask } : {}),
  });
  return new Promise((resolve, reject) => {
    const abort = () => {
      reject(signal.reason);
      websocket.terminate();
    };
    signal.addEventListener('abort', abort, { once: true });
    websocket.once('close', () => signal.removeEventListener('abort', abort));
    websocket.on('error', reject);
    websocket.once('unexpected-response', (_, response) => {
      reject(refusal(response.statusCode ?? 0, address.host));
      websocket.terminate();
    });
    websocket.once('open', () => {
      signal.removeEventListener('abort', abort);
      // Bytes that came with the upgrade would be delivered before whoever awaits this has attached a listener.
      websocket.pause();
      setImmediate(() => websocket.resume());
      resolve(websocket);
    });
  });
}

function zeroMask(mask: Buffer): void {
  mask.fill(0);
}

function refusal(status: number, host: string): UnderpassError {
  switch (status) {
    case 401:
      return new UnderpassError('auth_failed');
    case 429:
      return new UnderpassError('rate_limited');
    case 503:
      return new UnderpassError('server_full');
    default:
      return new UnderpassError('server_unreachable', { host, problem: `HTTP status ${status}` });
  }
}

/** System and TLS error codes for people. */
const PROBLEMS: Readonly<Record<string, string>> = {
  ABORT_ERR: 'cancelled',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection closed by the other side',
  EHOSTUNREACH: 'no route to it',
  ENETUNREACH: 'the network is unreachable',
  ENOTFOUND: 'name not found',
  EAI_AGAIN: 'name lookup failed',
  EPROTO: 'it does not speak TLS',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS',
  ETIMEDOUT: 'timed out',
};

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? String(error.code) : '';
  return PROBLEMS[code] ?? error.message;
}
