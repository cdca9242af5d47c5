import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { World } from './e2e.ts';

const HOST = '127.0.0.1';
/** UDP may lose anything: a question is asked again, so often and after so many milliseconds. */
const TRIES = 5;
const RETRY = 1000;
/** Room for some of the largest datagrams. */
const BUFFER = 1024 * 1024;

/** A service that speaks UDP. */
export class UdpService {
  readonly port: number;
  /** Who has spoken to it, `host:port`, in order and without repetition. */
  readonly senders = new Set<string>();
  readonly #socket: Socket;

  /** @param answer what is sent back, if anything */
  static async start(
    world: World,
    answer: (question: Buffer, sender: RemoteInfo) => Buffer | undefined,
    port = 0,
  ): Promise<UdpService> {
    const socket = await bound(port);
    const service = new UdpService(socket, answer);
    world.onEnd(() => service.close());
    return service;
  }

  /** One that sends back what it gets. */
  static echo(world: World, port?: number): Promise<UdpService> {
    return UdpService.start(world, (question) => question, port);
  }

  private constructor(socket: Socket, answer: (question: Buffer, sender: RemoteInfo) => Buffer | undefined) {
    this.#socket = socket;
    this.port = socket.address().port;
    socket.on('message', (question, sender) => {
      this.senders.add(`${sender.address}:${sender.port}`);
      const reply = answer(question, sender);
      if (reply !== undefined) socket.send(reply, sender.port, sender.address);
    });
  }

  close(): void {
    if (!this.#closed) this.#socket.close();
    this.#closed = true;
  }

  #closed = false;
}

/** An application's UDP socket, which takes only what comes from whom it speaks to. */
export class UdpClient {
  readonly #socket: Socket;
  #closed = false;

  static async connect(world: World, port: number, host = HOST): Promise<UdpClient> {
    const socket = await bound(0);
    await new Promise<void>((resolve) => socket.connect(port, host, resolve));
    const client = new UdpClient(socket);
    world.onEnd(() => client.close());
    return client;
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  send(message: Buffer | string): void {
    this.#socket.send(message);
  }

  /** The next datagram that comes. */
  async next(milliseconds = RETRY * TRIES): Promise<Buffer> {
    const [message] = await once(this.#socket, 'message', { signal: AbortSignal.timeout(milliseconds) });
    return message;
  }

  /** Sends until something comes back for which this holds. Rejects when nothing does. */
  async ask(question: Buffer | string, isAnswer: (answer: Buffer) => boolean = () => true): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      let tries = 0;
      const finish = (settle: () => void) => {
        clearInterval(timer);
        this.#socket.off('message', onMessage);
        settle();
      };
      const onMessage = (message: Buffer) => {
        if (isAnswer(message)) finish(() => resolve(message));
      };
      const again = () => {
        tries += 1;
        if (tries > TRIES) finish(() => reject(new Error(`no answer to ${question.length} bytes`)));
        else this.#socket.send(question);
      };
      const timer = setInterval(again, RETRY);
      this.#socket.on('message', onMessage);
      again();
    });
  }

  close(): void {
    if (!this.#closed) this.#socket.close();
    this.#closed = true;
  }
}

/** Sockets of services on so many ports in a row. */
export async function echoInARow(world: World, count: number): Promise<readonly UdpService[]> {
  for (let tries = 0; tries < 100; tries++) {
    const services = [await UdpService.echo(world)];
    try {
      while (services.length < count) {
        services.push(await UdpService.echo(world, (services[0]?.port ?? 0) + services.length));
      }
      return services;
    } catch (error) {
      for (const service of services) service.close();
      if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error;
    }
  }
  throw new Error(`no ${count} free ports in a row`);
}

async function bound(port: number): Promise<Socket> {
  const socket = createSocket('udp4');
  await once(socket.bind(port, HOST), 'listening');
  socket.setRecvBufferSize(BUFFER);
  socket.setSendBufferSize(BUFFER);
  // ICMP says that a port is closed: whoever waits for an answer will see.
  socket.on('error', () => undefined);
  return socket;
}
