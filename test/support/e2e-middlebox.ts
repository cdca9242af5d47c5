import { connect, type Socket } from 'node:net';
import { type Listener, listen } from './e2e-tcp.ts';

/** One connection through a middlebox. */
interface Passage {
  readonly client: Socket;
  readonly server: Socket;
  /** The path that the client asked for, once it has. */
  path: string;
}

/**
 * A TCP proxy between clients and a `ws://` server, as firewalls are: it sees every byte, and it can cut connections by
 * the path of their WebSocket.
 */
export class Middlebox {
  /** Everything that has passed, connection by connection and direction by direction. */
  readonly #records: Buffer[][] = [];
  readonly #passages = new Set<Passage>();
  readonly #listener: Listener;
  readonly #remembers: boolean;
  #blocked = false;

  /** @param records whether it remembers what passes */
  static async start(
    serverPort: number,
    headers: readonly string[] = [],
    records = true,
  ): Promise<Middlebox> {
    const box: { opened?: Middlebox } = {};
    const listener = await listen((socket) => box.opened?.pass(socket, serverPort, headers));
    box.opened = new Middlebox(listener, records);
    return box.opened;
  }

  private constructor(listener: Listener, records: boolean) {
    this.#listener = listener;
    this.#remembers = records;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#listener.port}`;
  }

  /** The flags of a client that goes through it. */
  get access(): readonly string[] {
    return ['--server', this.url];
  }

  /** What has been seen, one buffer for each direction of each connection. */
  get seen(): readonly Buffer[] {
    return this.#records.map((chunks) => Buffer.concat(chunks));
  }

  /** Paths of the connections that are open. */
  get paths(): readonly string[] {
    return [...this.#passages].map(({ path }) => path.replace(/[0-9a-f]{32}/, '…'));
  }

  /** Cuts every connection whose path begins so, without a word of TCP's or WebSocket's. Returns how many there were. */
  cut(path: string): number {
    const doomed = [...this.#passages].filter((passage) => passage.path.startsWith(path));
    for (const { client, server } of doomed) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
    return doomed.length;
  }

  /** While it blocks, new connections are cut at once. */
  block(blocked: boolean): void {
    this.#blocked = blocked;
  }

  close(): void {
    this.#listener.close();
    for (const { server } of this.#passages) server.destroy();
  }

  private pass(client: Socket, serverPort: number, headers: readonly string[]): void {
    if (this.#blocked) {
      client.resetAndDestroy();
      return;
    }
    const server = connect({ host: '127.0.0.1', port: serverPort });
    const passage: Passage = { client, server, path: '' };
    this.#passages.add(passage);
    const over = () => {
      client.destroy();
      server.destroy();
      this.#passages.delete(passage);
    };
    const copy = (from: Socket, to: Socket, change: (chunk: Buffer) => Buffer) => {
      const record: Buffer[] = [];
      this.#records.push(record);
      from.on('data', (chunk: Buffer) => {
        if (this.#remembers) record.push(chunk);
        if (!to.write(change(chunk))) from.pause();
      });
      to.on('drain', () => from.resume());
      from.on('error', over);
      from.on('close', over);
    };
    copy(client, server, (chunk) => {
      if (passage.path !== '') return chunk;
      // A client sends its request whole, and nothing behind it.
      passage.path = /^GET (\S+)/.exec(chunk.toString('latin1'))?.[1] ?? '?';
      const added = headers.map((header) => `${header}\r\n`).join('');
      return Buffer.from(chunk.toString('latin1').replace(/\r\n\r\n$/, `\r\n${added}\r\n`), 'latin1');
    });
    copy(server, client, (chunk) => chunk);
  }
}
