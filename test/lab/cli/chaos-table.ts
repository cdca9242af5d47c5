import { growthOf, type Report, type Row } from '../chaos/report.ts';
import { printLine, printTable } from './table.ts';

const MIB = 1 << 20;
/** Failures that are printed one by one. */
const SHOWN = 20;

const HEADER = [
  '#',
  'at s',
  'event',
  'lasted s',
  'path afterwards',
  'longest pause s',
  'moves again after s',
  'UDP lost',
  'echo after s',
  'failed',
];

export function printChaos(report: Report, begun: number): void {
  printLine();
  printTable(HEADER, report.rows.map(cells));
  for (const { number, note } of report.rows) if (note !== '') printLine(`${number}: ${note}`);
  const { connections, datagrams, bytes } = report;
  printLine();
  printLine(
    `connections: ${connections.opened} opened, ${connections.whole} whole from begin to end, ${connections.failed} failed; ` +
      `${(bytes / MIB).toFixed(1)} MiB verified`,
  );
  printLine(
    `UDP: ${datagrams.sent} sent, ${datagrams.echoed} echoed, ${lost(datagrams)} lost, ${datagrams.duplicates} twice, ` +
      `${datagrams.corrupted} corrupted`,
  );
  printMemory(report.memory);
  for (const { at, id, style, teller, what, detail } of report.failures.slice(0, SHOWN)) {
    printLine(`at ${seconds(at - begun)} s, ${style} ${id}, at the ${teller}: ${what}: ${detail}`);
  }
  if (report.failures.length > SHOWN) printLine(`… and ${report.failures.length - SHOWN} more`);
  printLine();
  for (const complaint of report.complaints) printLine(`not met: ${complaint}`);
  printLine(report.complaints.length === 0 ? 'everything demanded is met' : 'FAILED');
}

function printMemory(memory: Report['memory']): void {
  const length = Math.max(0, ...Object.values(memory).map((minutes) => minutes.length));
  const header = [
    'resident MiB, minute',
    ...Array.from({ length }, (_, index) => String(index + 1)),
    'last / 2nd',
  ];
  const rows = Object.entries(memory).map(([program, minutes]) => [
    program,
    ...minutes.map((bytes) => (bytes === undefined ? '–' : (bytes / MIB).toFixed(0))),
    ...Array<string>(length - minutes.length).fill('–'),
    growthOf(minutes)?.toFixed(2) ?? '–',
  ]);
  printTable(header, rows);
}

function cells(row: Row): string[] {
  return [
    String(row.number),
    seconds(row.at),
    row.what,
    seconds(row.lasted),
    row.path,
    seconds(row.pause),
    seconds(row.recovered),
    `${lost(row.datagrams)}/${row.datagrams.sent}`,
    seconds(row.echoed),
    String(row.failures),
  ];
}

function lost({ sent, echoed }: Row['datagrams']): number {
  return Math.max(0, sent - echoed);
}

function seconds(ms: number | null): string {
  return ms === null ? 'never' : Number.isFinite(ms) ? (ms / 1000).toFixed(1) : 'for ever';
}
