import type { ByteStream, Carrier } from '../../src/carrier.ts';
import { UnderpassError } from '../../src/errors.ts';
import type { Runtime } from '../../src/net/runtime.ts';
import type { ChannelHeader } from '../../src/tunnel/channel/channel-frame.ts';
import type { ChannelStream, ChannelUser } from '../../src/tunnel/channel/channel-stream.ts';
import { Link, type LinkPath } from '../../src/tunnel/link/link.ts';
import { type MuxEnd, muxPair } from './mux-pair.ts';
import { VirtualRuntime } from './virtual-runtime.ts';

/** A carrier without TLS, straight on a mux. */
function carrierOn(end: MuxEnd, kind: Carrier['kind']): Carrier {
  const { mux } = end;
  const close = () => {
    end.isClosing = true;
    mux.close();
  };
  return {
    kind,
    get rtt() {
      return mux.rtt;
    },
    open(): ByteStream {
      const stream = mux.open();
      if (stream === undefined) throw new UnderpassError('peer_lost', { name: 'test' });
      return stream;
    },
    maxDatagram: 0,
    sendDatagram: () => true,
    close,
    drop: close,
  };
}

/** Writes down what a channel tells its application, and consumes at once unless told not to. */
export class Application implements ChannelUser {
  channel: ChannelStream | undefined;
  header: ChannelHeader | undefined;
  readonly chunks: Buffer[] = [];
  received = 0;
  ended = false;
  drains = 0;
  /** What `onOver` said: `finished`, or the code. */
  readonly over: (number | 'finished')[] = [];
  consumes: boolean;
  #held = 0;

  constructor({ consumes = true } = {}) {
    this.consumes = consumes;
  }

  /** Gives back what it held, and consumes from now on. */
  consumeAll(): void {
    const bytes = this.#held;
    this.#held = 0;
    this.consumes = true;
    this.channel?.consume(bytes);
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString();
  }

  onData(chunk: Buffer): void {
    if (this.over.length > 0 || this.ended) throw new Error('data after the end');
    this.chunks.push(chunk);
    this.received += chunk.length;
    this.#held += chunk.length;
    if (this.consumes) this.consumeAll();
  }

  onEnd(): void {
    this.ended = true;
  }

  onDrain(): void {
    this.drains += 1;
  }

  onOver(code: number | undefined): void {
    this.over.push(code ?? 'finished');
  }
}

/** A subscriber's and a publisher's link over two muxes in memory, in virtual time. */
export function linkPair(options: { maxChannels?: number; latency?: number } = {}) {
  const runtime = new VirtualRuntime();
  return Object.assign(linksIn(runtime, options), { runtime });
}

/** The same in the time of any runtime. */
export function linksIn(runtime: Runtime, { maxChannels = 1024, latency = 1 } = {}) {
  const closes: { subscriber: unknown[]; publisher: unknown[] } = { subscriber: [], publisher: [] };
  const accepted: Application[] = [];
  const paths: { subscriber: LinkPath[]; publisher: LinkPath[] } = { subscriber: [], publisher: [] };
  const common = {
    name: 'test',
    runtime,
    mayRelay: true,
    grace: 60_000,
    buffers: 64 * 1024 * 1024,
    onRelayLost: () => {},
  };
  const subscriber = new Link({
    ...common,
    maxChannels: 1024,
    onPath: (path) => paths.subscriber.push(path),
    onClose: (error) => closes.subscriber.push(error),
  });
  const acceptance = {
    onChannel(header: ChannelHeader, accept: (user: ChannelUser) => ChannelStream): void {
      const application = new Application();
      application.header = header;
      accepted.push(application);
      application.channel = accept(application);
    },
  };
  const publisher = new Link({
    ...common,
    maxChannels,
    onPath: (path) => paths.publisher.push(path),
    onChannel: (header, accept) => acceptance.onChannel(header, accept),
    onClose: (error) => closes.publisher.push(error),
  });
  const connect = (kind: Carrier['kind']) => {
    const { client, server } = muxPair(runtime, { latency });
    const [near, far] = [subscriber.handler(kind), publisher.handler(kind)];
    client.onStream = (stream) => near.onStream(stream);
    server.onStream = (stream) => far.onStream(stream);
    for (const [end, handler] of [
      [client, near],
      [server, far],
    ] as const) {
      const left = new UnderpassError('peer_left', { name: 'test' });
      end.onClose = () => handler.onClose(end.isClosing ? undefined : left);
    }
    const origin = kind === 'direct' ? { strategy: 'host', remote: '192.0.2.1:1', elapsed: 1 } : undefined;
    subscriber.attach(near, carrierOn(client, kind), origin);
    publisher.attach(far, carrierOn(server, kind), origin);
    return { client, server, near, far };
  };
  const { client, server } = connect('relayed');
  const open = (options?: { consumes?: boolean }): Application & { channel: ChannelStream } => {
    const application = new Application(options);
    return Object.assign(application, { channel: subscriber.open(0, application) });
  };
  return Object.assign(acceptance, {
    client,
    server,
    subscriber,
    publisher,
    accepted,
    closes,
    paths,
    open,
    connect,
  });
}
