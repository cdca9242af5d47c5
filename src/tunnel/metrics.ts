import { createServer, type Server } from 'node:http';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { listenError } from '../net/listen-error.ts';
import { STRATEGIES } from '../punch/strategies.ts';

/** What a server has at the moment. */
export interface Counts {
  readonly sessions: number;
  readonly tunnels: number;
  readonly links: number;
}

/** Where the figures come from, each asked whenever somebody looks. */
export interface MetricSources {
  counts(): Counts;
  /** Clients by what their NAT is called. */
  sessionsByNat(): Readonly<Record<string, number>>;
  /** STUN answers since the start. */
  stunAnswers(): number;
}

/** What became of one search for a direct path. */
export interface Search {
  /** `direct`, or why the link stays relayed. */
  readonly outcome: string;
  readonly strategy: string | undefined;
  /** How long it took, as the client says. */
  readonly milliseconds: number | undefined;
}

/** A server's figures, in Prometheus' words. Tunnel names are not labels: anybody can make as many as they like. */
export class Metrics {
  readonly #registry = new Registry();
  /** By direction and number of the token. Plain numbers: it is counted for every chunk. */
  readonly #relayed = { up: new Map<number, number>(), down: new Map<number, number>() };
  readonly #searches: Counter<'outcome' | 'strategy'>;
  readonly #timeToDirect: Histogram<'strategy'>;
  readonly #directBytes: Counter<'direction'>;
  readonly #errors: Counter<'code'>;
  #http: Server | undefined;

  constructor(sources: MetricSources) {
    const registers = [this.#registry];
    for (const [name, help] of GAUGES) {
      new Gauge({
        name: `underpass_${name}`,
        help,
        registers,
        collect() {
          this.set(sources.counts()[name]);
        },
      });
    }
    new Gauge({
      name: 'underpass_sessions_by_nat',
      help: 'Clients by type of their NAT; unknown where they have not said.',
      labelNames: ['type'],
      registers,
      collect() {
        for (const [type, count] of Object.entries(sources.sessionsByNat())) this.set({ type }, count);
      },
    });
    new Counter({
      name: 'underpass_stun_answers_total',
      help: 'STUN requests answered.',
      registers,
      collect() {
        this.reset();
        this.inc(sources.stunAnswers());
      },
    });
    const relayed = this.#relayed;
    new Counter({
      name: 'underpass_relayed_bytes_total',
      help: 'Bytes relayed, counted once: up from subscribers to publishers, down back; by number of the publisher’s token.',
      labelNames: ['direction', 'token'],
      registers,
      collect() {
        this.reset();
        for (const direction of ['up', 'down'] as const) {
          for (const [token, bytes] of relayed[direction]) this.inc({ direction, token }, bytes);
        }
      },
    });
    this.#searches = new Counter({
      name: 'underpass_searches_total',
      help: 'Searches for a direct path that are over, by what became of them.',
      labelNames: ['outcome', 'strategy'],
      registers,
    });
    this.#timeToDirect = new Histogram({
      name: 'underpass_time_to_direct_client_reported_seconds',
      help: 'How long it took to find a direct path, as clients say.',
      labelNames: ['strategy'],
      buckets: TIMES_TO_DIRECT,
      registers,
    });
    this.#directBytes = new Counter({
      name: 'underpass_direct_bytes_client_reported_total',
      help: 'Bytes on direct paths, as clients say: nobody can check it, and nothing is limited by it.',
      labelNames: ['direction'],
      registers,
    });
    this.#errors = new Counter({
      name: 'underpass_errors_total',
      help: 'Errors that clients were told, by code.',
      labelNames: ['code'],
      registers,
    });
  }

  relayed(direction: 'up' | 'down', token: number, bytes: number): void {
    const totals = this.#relayed[direction];
    totals.set(token, (totals.get(token) ?? 0) + bytes);
  }

  /** Words that are not known, which a client or a newer plan may have chosen, count as `other`. */
  searched({ outcome, strategy, milliseconds }: Search): void {
    const by = strategy === undefined ? 'none' : oneOf(STRATEGIES, strategy);
    this.#searches.inc({ outcome: oneOf(OUTCOMES, outcome), strategy: by });
    if (outcome === 'direct' && milliseconds !== undefined) {
      this.#timeToDirect.observe({ strategy: by }, milliseconds / 1000);
    }
  }

  direct(direction: 'up' | 'down', bytes: number): void {
    this.#directBytes.inc({ direction }, bytes);
  }

  failed(code: string): void {
    this.#errors.inc({ code });
  }

  /** Serves `/metrics` and `/healthz`; resolves with the port. Throws `port_in_use` or `listen_failed`. */
  async listen(host: string, port: number): Promise<number> {
    const http = createServer((request, response) => {
      if (request.url === '/healthz') response.end('ok\n');
      else if (request.url === '/metrics') void this.#serve(response);
      else response.writeHead(404).end('Not found.\n');
    });
    this.#http = http;
    await new Promise<void>((resolve, reject) => {
      http.on('error', (error) => reject(listenError(error, host, port)));
      http.listen({ host, port }, resolve);
    });
    const address = http.address();
    return typeof address === 'object' && address !== null ? address.port : port;
  }

  close(): void {
    this.#http?.close();
    this.#http?.closeAllConnections();
  }

  async #serve(response: {
    setHeader(name: string, value: string): unknown;
    end(text: string): unknown;
  }): Promise<void> {
    const text = await this.#registry.metrics();
    response.setHeader('content-type', this.#registry.contentType);
    response.end(text);
  }
}

const GAUGES: readonly (readonly [keyof Counts, string])[] = [
  ['sessions', 'Clients connected, or expected back.'],
  ['tunnels', 'Names published.'],
  ['links', 'Links relayed.'],
];

/** In seconds: from one network to a long birthday search, whose 12 s have a limit of their own. */
const TIMES_TO_DIRECT = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 12, 30];

const OUTCOMES = [
  'direct',
  'unpredictable',
  'unmeasured',
  'udp-blocked',
  'no-hairpin',
  'unvouched',
  'exhausted',
  'busy',
  'refused',
];

/** Labels have few values, whatever is said. */
function oneOf(known: readonly string[], word: string): string {
  return known.includes(word) ? word : 'other';
}
