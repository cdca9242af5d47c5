import { writeFileSync } from 'node:fs';
import { describeTrouble, GRACE, isTroubleKind, TROUBLE_KINDS, type TroubleKind } from '../chaos/events.ts';
import { reportOf } from '../chaos/report.ts';
import { playChaos } from '../chaos/run.ts';
import { outline, Schedule } from '../chaos/schedule.ts';
import { ChaosStage } from '../chaos/stage.ts';
import type { SiteOptions } from '../topology/options.ts';
import { printChaos } from './chaos-table.ts';
import { parse, parseNumber, parseSite, UsageError } from './options.ts';
import { printLine } from './table.ts';

export const CHAOS_USAGE = `  --minutes N           default 10
  --quick               two minutes
  --seed N              decides what happens, and what the kinds leave open (default: drawn, and printed)
  --kinds A,B           SITE each: the subscriber's, the publisher's (default: port-restricted,port-restricted)
  --events LIST         only these kinds of event, with commas between, or 'none'; of
                        ${TROUBLE_KINDS.join(' ')}
  --connections N       TCP connections at a time (default 20)
  --no-udp              the tunnel carries TCP only; else there are five UDP flows
  --mode MODE           of publisher and subscriber: auto (default), relay
  --grace S             of the link, told to publisher and subscriber (default: their own, 60)
  --json FILE           writes everything there
  --logs FOLDER         what the programs printed
  --program FILE        instead of dist/cli/main.js`;

const FLOWS = 5;

/** `lab chaos`: traffic through the real programs while everything around them fails. Fails when something demanded is not met. */
export async function chaos(args: readonly string[]): Promise<number> {
  const { values } = parse(args, {
    minutes: { type: 'string', default: '10' },
    quick: { type: 'boolean', default: false },
    seed: { type: 'string' },
    kinds: { type: 'string', default: 'port-restricted,port-restricted' },
    events: { type: 'string' },
    connections: { type: 'string', default: '20' },
    'no-udp': { type: 'boolean', default: false },
    mode: { type: 'string', default: 'auto' },
    grace: { type: 'string' },
    json: { type: 'string' },
    logs: { type: 'string' },
    program: { type: 'string' },
  });
  const seed = values.seed ? parseNumber('--seed', values.seed) : Math.floor(Math.random() * 2 ** 31);
  const minutes = values.quick ? 2 : parseNumber('--minutes', values.minutes);
  const grace = values.grace ? parseNumber('--grace', values.grace) : GRACE;
  const kinds = parseEvents(values.events);
  const [a, b] = parseSites(values.kinds, kinds);
  const flows = values['no-udp'] ? 0 : FLOWS;
  printLine(`seed ${seed}; if everything recovered at once:`);
  for (const { at, planned } of outline(new Schedule(seed, kinds), minutes * 60)) {
    printLine(`  ${String(at).padStart(4)} s  ${describeTrouble(planned.trouble)}`);
  }
  const flags = ['--mode', values.mode, ...(values.grace ? ['--grace', values.grace] : [])];
  const connections = parseNumber('--connections', values.connections);
  const stage = await ChaosStage.build({ seed, a, b, connections, flows, flags, program: values.program });
  try {
    const played = await playChaos(stage, {
      ms: minutes * 60_000,
      grace,
      kinds,
      onEvent: ({ trouble, path }) => {
        const { failed } = stage.ledger.connections;
        process.stderr.write(`${describeTrouble(trouble)}: ${path}; ${failed} connections failed so far\n`);
      },
    });
    const report = reportOf(played, stage.ledger);
    printChaos(report, played.begun);
    printLine(`seed ${seed}`);
    if (values.json)
      writeFileSync(values.json, `${JSON.stringify({ ...played, ...report }, undefined, 2)}\n`);
    return report.complaints.length === 0 ? 0 : 1;
  } finally {
    if (values.logs !== undefined) stage.keepLogs(values.logs);
    await stage.close();
  }
}

function parseEvents(list: string | undefined): readonly TroubleKind[] {
  if (list === undefined) return TROUBLE_KINDS;
  if (list === 'none') return [];
  return list.split(',').map((name) => {
    if (isTroubleKind(name)) return name;
    throw new UsageError(`there is no event '${name}'; there are ${TROUBLE_KINDS.join(', ')}`);
  });
}

function parseSites(text: string, kinds: readonly TroubleKind[]): [SiteOptions, SiteOptions] {
  const [a, b, ...more] = text.split(',').map(parseSite);
  if (a === undefined || b === undefined || more.length > 0) throw new UsageError('--kinds takes SITE,SITE');
  const untranslated = [a, b].some(
    ({ kind, carrier = kind }) => carrier === 'open' || carrier === 'firewalled',
  );
  if (kinds.includes('wan-address') && (untranslated || a.igd || b.igd)) {
    throw new UsageError('wan-address takes routers that translate, and no +igd; leave it out of --events');
  }
  return [a, b];
}
