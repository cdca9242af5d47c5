import type { WebSocket } from 'ws';
import { UnderpassError } from '../errors.ts';
import type { ServerAddress } from '../net/address.ts';
import type { Trust } from '../net/trust.ts';
import { connectWebSocket } from '../net/websocket-client.ts';
import { CLOSE, closeError } from './close.ts';
import { defaultLimits } from './limits.ts';
import { outOfTurn, parseServerMessage, type StunGreeting } from './messages.ts';
import { serverError } from './requests.ts';

/** How long the server may take to close its side, in milliseconds. */
const CLOSE_TIMEOUT = 1000;

/** What `fetchGreeting` needs to know. */
export interface GreetingOptions {
  readonly address: ServerAddress;
  readonly trust: Trust;
  /** How long all of it may take, in milliseconds. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** What a server says to everybody. */
export interface Greeting {
  /** The server's. */
  readonly version: string;
  readonly stun: StunGreeting | undefined;
}

/**
 * Reads a server's greeting and leaves: no token and no identity are shown. Rejects as `connectWebSocket` does, with
 * `protocol_error`, and with what the server says or means by closing (`server_full`, `server_restarting` …).
 */
export async function fetchGreeting(options: GreetingOptions): Promise<Greeting> {
  const { address, trust, timeoutMs, signal } = options;
  const deadline = AbortSignal.timeout(timeoutMs);
  const { websocket } = await connectWebSocket({
    address,
    path: '/_control',
    trust,
    maxPayload: defaultLimits.message_bytes,
    timeout: timeoutMs,
    ...(signal && { signal }),
  });
  try {
    const enough = signal ? AbortSignal.any([signal, deadline]) : deadline;
    return readGreeting(await firstMessage(websocket, address.host, enough));
  } finally {
    leave(websocket);
  }
}

function firstMessage(websocket: WebSocket, host: string, enough: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      const problem = enough.reason?.name === 'TimeoutError' ? 'timed out' : 'cancelled';
      reject(new UnderpassError('server_unreachable', { host, problem }, { cause: enough.reason }));
    };
    if (enough.aborted) abort();
    enough.addEventListener('abort', abort, { once: true });
    websocket.once('message', (data, isBinary) => resolve(isBinary ? '' : String(data)));
    websocket.once('close', (code) => {
      enough.removeEventListener('abort', abort);
      reject(closeError(code));
    });
  });
}

function readGreeting(text: string): Greeting {
  const message = parseServerMessage(text);
  if (message.type === 'auth_error') throw serverError(message.code, message.message);
  if (message.type !== 'hello') throw outOfTurn(message);
  return { version: message.server_version, stun: message.stun };
}

function leave(websocket: WebSocket): void {
  const timer = setTimeout(() => websocket.terminate(), CLOSE_TIMEOUT).unref();
  websocket.once('close', () => clearTimeout(timer));
  websocket.close(CLOSE.normal);
}
