import { type Figure, isReached } from './figure.ts';

/** A figure for people, in one line and one more for each of its details. */
export function printFigure(figure: Figure): void {
  const { what, unit, subject, yardstick, compared, targets } = figure;
  const facts = [what.padEnd(22), `${format(subject)} ${unit}`];
  if (yardstick !== undefined) facts.push(`yardstick ${format(yardstick)} ${unit}`);
  if (compared !== undefined) {
    const { median, least, most } = compared;
    facts.push(`${format(median)} ${compared.unit} (${format(least)} to ${format(most)})`);
  }
  for (const target of targets) {
    const sign = target.bound === 'least' ? '≥' : '≤';
    facts.push(`${target.label} ${sign} ${target.value}: ${isReached(target, figure) ? 'ok' : 'missed'}`);
  }
  printLine(`  ${facts.join('   ')}`);
  for (const [title, values] of Object.entries(figure.details ?? {})) {
    const list = Object.entries(values).map(([name, value]) => `${name} ${format(value)}`);
    printLine(`      ${title}: ${list.join(', ')}`);
  }
}

export function printLine(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Three digits that count. */
function format(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}
