import * as http from 'node:http';
import * as https from 'node:https';
import type { AddressInfo, BlockList } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TlsOptions } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import { clientAddress } from './client-address.ts';
import { listenError } from './listen-error.ts';

/** What to do with a WebSocket (and the socket it runs on) once it is open, or the HTTP status that refuses it. */
export type Admission = ((socket: WebSocket, transport: Duplex) => void) | 401 | 404 | 429 | 503;

/** One path at which WebSockets are accepted. */
export interface WebSocketRoute {
  /** Matches the whole path; what its first group captured is given to `admit`. */
  readonly path: RegExp;
  /** The longest message to accept, in bytes; read for each new WebSocket. */
  readonly maxPayload: () => number;
  /** Decides before anything is allocated for the WebSocket. Attach listeners (also for `error`) in the function returned. */
  readonly admit: (captured: string, remoteAddress: string) => Admission;
}

export interface WebSocketListenerOptions {
  /** Certificate and key; undefined for plain HTTP. */
  readonly tls: TlsOptions | undefined;
  /** Whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: BlockList;
  /** Whether this address may connect once more; asked for every upgrade. */
  readonly allow: (remoteAddress: string) => boolean;
  readonly routes: readonly WebSocketRoute[];
  /** TCP connections at a time, WebSockets and those that have yet to ask included; one more is closed at once. */
  readonly maxConnections: number;
}

/** A client has this long to shake hands and to send its request, in milliseconds. */
const REQUEST_TIMEOUT = 10_000;

const LIMITS = {
  maxHeaderSize: 8192,
  headersTimeout: REQUEST_TIMEOUT,
  requestTimeout: REQUEST_TIMEOUT,
  connectionsCheckingInterval: 5000,
  keepAliveTimeout: 5000,
  noDelay: true,
} as const;

const NOWHERE: WebSocketRoute = { path: /^/, maxPayload: () => 0, admit: () => 404 };

/** One HTTP(S) server that upgrades to WebSocket at the routes it is given, and is polite to everybody else. */
export class WebSocketListener {
  readonly #server: http.Server;
  readonly #options: WebSocketListenerOptions;
  readonly #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });

  constructor(options: WebSocketListenerOptions) {
    this.#options = options;
    const { tls, maxConnections } = options;
    this.#server = tls
      ? https.createServer({ ...LIMITS, handshakeTimeout: REQUEST_TIMEOUT, ...tls }, greet)
      : http.createServer(LIMITS, greet);
    this.#server.maxHeadersCount = 64;
    this.#server.maxConnections = maxConnections;
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** Starts listening; returns where. Throws `port_in_use` or `listen_failed`. */
  async listen(host: string, port: number): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      // It stays: a later error is one connection that could not be accepted, and no reason to crash.
      this.#server.on('error', (error) => reject(listenError(error, host, port)));
      this.#server.listen({ host, port, backlog: 1024 }, resolve);
    });
    return this.#server.address() as AddressInfo;
  }

  /** Accepts nobody from now on; open WebSockets stay. */
  stopListening(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** Ends everything that is still open, at once. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      if (this.#server.listening || this.#sockets.clients.size > 0) this.#server.once('close', resolve);
      else resolve();
    });
    this.stopListening();
    for (const socket of this.#sockets.clients) socket.terminate();
    await closed;
  }

  #upgrade(request: http.IncomingMessage, socket: Duplex, head: Buffer): void {
    const { allow, trustedProxies, routes } = this.#options;
    const forwardedFor = String(request.headers['x-forwarded-for'] ?? '');
    const remoteAddress = clientAddress(request.socket.remoteAddress ?? '', forwardedFor, trustedProxies);
    const path = request.url?.split('?', 1)[0] ?? '';
    const route = routes.find((candidate) => candidate.path.test(path)) ?? NOWHERE;
    const captured = route.path.exec(path)?.[1] ?? '';
    const admission = allow(remoteAddress) ? route.admit(captured, remoteAddress) : 429;
    if (typeof admission === 'number') {
      refuse(socket, admission);
      return;
    }
    // `handleUpgrade` reads it at once, so routes with different limits can share one WebSocketServer.
    this.#sockets.options.maxPayload = route.maxPayload();
    this.#sockets.handleUpgrade(request, socket, head, (websocket) => admission(websocket, socket));
  }
}

/** What a browser or a proxy's health check sees. */
function greet(request: http.IncomingMessage, response: http.ServerResponse): void {
  const home = request.url === '/';
  response.writeHead(home ? 200 : 404, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(home ? 'This is an underpass server.\n' : 'Not found.\n');
}

function refuse(socket: Duplex, status: number): void {
  const head = `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
  socket.on('error', () => socket.destroy());
  socket.end(head, () => socket.destroy());
}
