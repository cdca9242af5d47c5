import { parseArgs } from 'node:util';
import { isNatKind, NAT_KIND_NAMES, type NatKindName } from '../kinds/nat-kinds.ts';
import type { Delay, LaboratoryOptions, SiteOptions } from '../topology/options.ts';

/** A command line that makes no sense. */
export class UsageError extends Error {}

export const SCENARIO_USAGE = `  --a SITE, --b SITE    KIND, or KIND@CARRIER for a carrier's NAT in front; then any of +hairpin and +igd.
                        Default: port-restricted
  --seed N              decides what the kinds leave open (default: drawn, and printed)
  --same-lan            both LANs have the same addresses
  --ipv6 HOW            routed IPv6, 'open' or 'firewalled'
  --udp-timeout S       seconds after which the routers forget an unused mapping
  --latency MS, --jitter MS, --loss PERCENT, --rate MBIT
  --burn-a N, --burn-b N   flows that a second host opens each second`;

const SCENARIO = {
  a: { type: 'string', default: 'port-restricted' },
  b: { type: 'string', default: 'port-restricted' },
  seed: { type: 'string' },
  'same-lan': { type: 'boolean', default: false },
  ipv6: { type: 'string' },
  'udp-timeout': { type: 'string' },
  latency: { type: 'string', default: '0' },
  jitter: { type: 'string', default: '0' },
  loss: { type: 'string', default: '0' },
  rate: { type: 'string', default: '0' },
  'burn-a': { type: 'string', default: '0' },
  'burn-b': { type: 'string', default: '0' },
  coturn: { type: 'boolean', default: false },
} as const;

/** What `run` is to do. */
export interface RunArguments {
  readonly scenario: LaboratoryOptions;
  readonly burn: { readonly a: number; readonly b: number };
  readonly coturn: boolean;
  readonly machine: string;
  readonly argv: readonly string[];
}

/** Reads `[options] MACHINE -- program arguments…`. Throws UsageError. */
export function parseRun(args: readonly string[]): RunArguments {
  const { values, positionals } = parse(args, SCENARIO);
  const [machine, ...argv] = positionals;
  if (machine === undefined || argv.length === 0) throw new UsageError('name a machine and a program');
  const { ipv6 } = values;
  if (ipv6 !== undefined && ipv6 !== 'open' && ipv6 !== 'firewalled') {
    throw new UsageError(`--ipv6 takes open or firewalled, not '${ipv6}'`);
  }
  const seconds = values['udp-timeout'] && parseNumber('--udp-timeout', values['udp-timeout']);
  const timeout = seconds ? { udpTimeout: { fresh: seconds, settled: seconds } } : {};
  return {
    scenario: {
      a: { ...parseSite(values.a), ...timeout },
      b: { ...parseSite(values.b), ...timeout },
      ...(values.seed === undefined ? {} : { seed: parseNumber('--seed', values.seed) }),
      ...(ipv6 === undefined ? {} : { ipv6 }),
      ...delayOf(values),
      sameLan: values['same-lan'],
    },
    burn: { a: parseNumber('--burn-a', values['burn-a']), b: parseNumber('--burn-b', values['burn-b']) },
    coturn: values.coturn,
    machine,
    argv,
  };
}

/** Reads `KIND[@CARRIER][+hairpin][+igd]`. Throws UsageError. */
export function parseSite(text: string): SiteOptions {
  const [nats = '', ...features] = text.split('+');
  const [kind = '', carrier] = nats.split('@');
  const unknown = features.find((feature) => feature !== 'hairpin' && feature !== 'igd');
  if (unknown !== undefined) throw new UsageError(`a site has no feature '${unknown}'`);
  return {
    kind: parseKind(kind),
    ...(carrier === undefined ? {} : { carrier: parseKind(carrier) }),
    hairpin: features.includes('hairpin'),
    igd: features.includes('igd'),
  };
}

export function parseKind(text: string): NatKindName {
  if (isNatKind(text)) return text;
  throw new UsageError(`there is no kind '${text}'; there are ${NAT_KIND_NAMES.join(', ')}`);
}

export function parseNumber(option: string, text: string): number {
  const number = Number(text);
  if (text.trim() === '' || !(number >= 0)) throw new UsageError(`${option} takes a number, not '${text}'`);
  return number;
}

/** `parseArgs`, whose complaints are about usage. */
export function parse<O extends NonNullable<Parameters<typeof parseArgs>[0]>['options']>(
  args: readonly string[],
  options: O & {},
) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function delayOf(values: Record<'latency' | 'jitter' | 'loss' | 'rate', string>): { delay?: Delay } {
  const ms = parseNumber('--latency', values.latency);
  const jitterMs = parseNumber('--jitter', values.jitter);
  const lossPercent = parseNumber('--loss', values.loss);
  const megabitsPerSecond = parseNumber('--rate', values.rate);
  if (ms + jitterMs + lossPercent + megabitsPerSecond === 0) return {};
  return { delay: { ms, jitterMs, lossPercent, megabitsPerSecond } };
}
