import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';

/** A control message, parsed. */
export type Message = { type: string; link?: string; offer?: string; answer?: string; mac?: string } & Record<
  string,
  unknown
>;

export type Sender = 'client' | 'server';

/** What a hostile server does to those who trust it. */
export interface Tricks {
  /** Changes a control message on its way, in place. */
  readonly edit?: (message: Message, from: Sender) => void;
  /** Messages that go on instead of one; none, and it is withheld. Undefined lets it pass. */
  readonly instead?: (message: Message, from: Sender) => readonly Message[] | undefined;
  /** Takes a `/_data` WebSocket for itself instead of passing it on. `client` counts the connections from 0. */
  readonly takeData?: (socket: WebSocket, transport: Duplex) => void;
}

/** A server that passes everything on to a real one, but for its tricks. To its clients it is the server. */
export class HostileServer {
  readonly #http = createServer();
  readonly #sockets = new Set<WebSocket>();
  readonly #clients = new Set<WebSocket>();
  readonly #tricks: Tricks;
  readonly #upstream: string;

  static async start(upstream: string, tricks: Tricks): Promise<HostileServer> {
    const server = new HostileServer(upstream, tricks);
    await once(server.#http.listen(0, '127.0.0.1'), 'listening');
    return server;
  }

  private constructor(upstream: string, tricks: Tricks) {
    this.#upstream = upstream;
    this.#tricks = tricks;
    const websockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
    this.#http.on('upgrade', (request, transport, head) => {
      websockets.handleUpgrade(request, transport, head, (socket) => {
        this.#sockets.add(socket);
        this.#serve(socket, transport, request.url ?? '');
      });
    });
  }

  get access(): readonly string[] {
    return ['--server', `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}`];
  }

  /** Makes a control message up, for all of its clients. */
  say(message: Message): void {
    for (const client of this.#clients) client.send(JSON.stringify(message));
  }

  close(): void {
    this.#http.close();
    for (const socket of this.#sockets) socket.terminate();
  }

  #serve(client: WebSocket, transport: Duplex, path: string): void {
    const { edit, instead, takeData } = this.#tricks;
    if (takeData !== undefined && path.startsWith('/_data')) {
      takeData(client, transport);
      return;
    }
    if (path.startsWith('/_control')) {
      this.#clients.add(client);
      client.once('close', () => this.#clients.delete(client));
    }
    const server = new WebSocket(this.#upstream + path, { perMessageDeflate: false });
    this.#sockets.add(server);
    const change = (data: Buffer, isBinary: boolean, from: Sender) => {
      if (isBinary) return [data];
      const message = JSON.parse(String(data)) as Message;
      edit?.(message, from);
      return (instead?.(message, from) ?? [message]).map((one) => JSON.stringify(one));
    };
    const early: [Buffer | string, boolean][] = [];
    const pass = (from: Sender, target: WebSocket) => (data: Buffer, isBinary: boolean) => {
      for (const changed of change(data, isBinary, from)) {
        if (target.readyState === WebSocket.CONNECTING) early.push([changed, isBinary]);
        else target.send(changed, { binary: isBinary });
      }
    };
    client.on('message', pass('client', server));
    server.on('message', pass('server', client));
    server.once('open', () => {
      for (const [data, binary] of early) server.send(data, { binary });
    });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      socket.on('error', () => other.terminate());
      socket.on('close', () => other.terminate());
    }
  }
}

/** Edits the JSON inside an offer or an answer. */
export function editInner(encoded: string, edit: (inner: Record<string, unknown>) => void): string {
  const inner = JSON.parse(Buffer.from(encoded, 'base64url').toString());
  edit(inner);
  return Buffer.from(JSON.stringify(inner)).toString('base64url');
}
