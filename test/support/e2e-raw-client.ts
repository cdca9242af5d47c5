import { connect } from 'node:net';
import { WebSocket } from 'ws';
import { Identity } from '../../src/identity.ts';

/** Something a server said. */
export type Said = { readonly type: string } & Readonly<Record<string, unknown>>;

/** A WebSocket of which a test sees everything. Nothing that it does is an error here. */
export class RawSocket {
  readonly socket: WebSocket;
  /** Resolves with the close code. */
  readonly closed: Promise<number>;
  readonly opened: Promise<void>;
  readonly #said: Said[] = [];
  readonly #awaiting: (() => void)[] = [];
  #over = false;
  /** Binary messages, in bytes. */
  received = Buffer.alloc(0);

  constructor(url: string) {
    this.socket = new WebSocket(url, { perMessageDeflate: false });
    this.socket.on('error', () => undefined);
    this.socket.on('message', (data, isBinary) => {
      if (isBinary) this.received = Buffer.concat([this.received, data as Buffer]);
      else this.#said.push(JSON.parse(String(data)));
      this.#look();
    });
    this.opened = new Promise((resolve, reject) => {
      this.socket.once('open', resolve);
      this.socket.once('unexpected-response', (request, response) => {
        request.destroy();
        reject(new Error(`HTTP status ${response.statusCode}`));
      });
    });
    this.opened.catch(() => undefined);
    this.closed = new Promise((resolve) => {
      this.socket.once('close', (code) => {
        this.#over = true;
        resolve(code);
        this.#look();
      });
    });
  }

  send(message: object | string | Buffer): void {
    const raw = typeof message === 'string' || Buffer.isBuffer(message);
    this.socket.send(raw ? message : JSON.stringify(message));
  }

  /** The next message of this type; those before it are dropped. */
  async said(type: string): Promise<Said> {
    return this.#next(() => {
      while (this.#said.length > 0) {
        const message = this.#said.shift() as Said;
        if (message.type === type) return message;
      }
      return undefined;
    }, type);
  }

  /** The next `size` binary bytes. */
  async bytes(size: number): Promise<Buffer> {
    return this.#next(() => {
      if (this.received.length < size) return undefined;
      const bytes = this.received.subarray(0, size);
      this.received = this.received.subarray(size);
      return bytes;
    }, `${size} bytes`);
  }

  async #next<T>(take: () => T | undefined, what: string): Promise<T> {
    for (;;) {
      const taken = take();
      if (taken !== undefined) return taken;
      if (this.#over) throw new Error(`closed before ${what}`);
      await new Promise<void>((resolve) => this.#awaiting.push(resolve));
    }
  }

  #look(): void {
    for (const resolve of this.#awaiting.splice(0)) resolve();
  }
}

/** A client that does as the protocol says, until the test has it do something else. */
export class RawClient extends RawSocket {
  readonly #server: string;
  readonly #identity = Identity.generate();

  constructor(server: string) {
    super(`${server}/_control`);
    this.#server = server;
  }

  /** Connects and authenticates. */
  static async online(server: string): Promise<RawClient> {
    const client = new RawClient(server);
    client.send(client.auth(await client.said('hello')));
    await client.said('auth_ok');
    return client;
  }

  auth({ challenge }: Said): object {
    const signature = this.#identity.sign('underpass/1 auth', Buffer.from(String(challenge), 'base64url'));
    return {
      type: 'auth',
      protocol: 1,
      client_version: 'test',
      identity: this.#identity.publicKey.toString('base64url'),
      signature: signature.toString('base64url'),
    };
  }

  async dataUrl(): Promise<string> {
    this.send({ type: 'open_data', request_id: 'data' });
    return `${this.#server}/_data/${(await this.said('data_ready')).session_id}`;
  }

  /** Opens its `/_data` WebSocket. */
  async openData(): Promise<RawSocket> {
    const data = new RawSocket(await this.dataUrl());
    await data.opened;
    return data;
  }
}

/** Two clients with a link between them, of which the server has opened the stream on both sides. */
export async function rawLink(server: string, name: string) {
  const hash = '00'.repeat(32);
  const link = Buffer.from(name.padEnd(16)).toString('base64url');
  const mac = Buffer.alloc(32).toString('base64url');
  const [publisher, subscriber] = [await RawClient.online(server), await RawClient.online(server)];
  publisher.send({ type: 'register', request_id: 'r', name, secrets: [{ key_id: 0, hash }] });
  await publisher.said('registered');
  const offer = { link, name, key_id: 0, hash, offer: 'AAAA', mac, wait: false };
  subscriber.send({ type: 'p2p_connect', request_id: 'c', ...offer });
  await publisher.said('p2p_offer');
  publisher.send({ type: 'p2p_answer', link, answer: 'AAAA', mac });
  await subscriber.said('p2p_answer');
  const [near, far] = [await subscriber.openData(), await publisher.openData()];
  // For each lane the header that opens its stream, and the preface in a data frame.
  for (const data of [near, far]) await data.bytes(2 * (12 + 12 + 17));
  return { publisher, subscriber, near, far };
}

/** A yamux frame. */
export function frame(
  type: number,
  flags: number,
  stream: number,
  length: number,
  payload = Buffer.alloc(0),
) {
  const header = Buffer.alloc(12);
  header[1] = type;
  header.writeUInt16BE(flags, 2);
  header.writeUInt32BE(stream, 4);
  header.writeUInt32BE(length, 8);
  return Buffer.concat([header, payload]);
}

/** Sends bytes to a port without any library, and waits until the server has closed the connection. */
export async function blurt(port: number, bytes: Buffer, end = false): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  socket.on('error', () => socket.destroy());
  socket.once('end', () => socket.destroy());
  socket.resume();
  if (end) socket.end(bytes);
  else socket.write(bytes);
  await new Promise((resolve) => socket.once('close', resolve));
}
