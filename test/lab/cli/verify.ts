import { NAT_KIND_NAMES } from '../kinds/nat-kinds.ts';
import { complaints, isRight } from '../prober/check.ts';
import { verify as verifySite } from '../prober/verify.ts';
import { inPool } from '../system/pool.ts';
import { parse, parseKind, parseNumber } from './options.ts';
import { printLine, printTable } from './table.ts';

/** So many laboratories at once: most of a check is waiting. */
const AT_ONCE = 8;

/** `lab verify [KIND…]`: whether each kind is what it claims, by probers that are not ours. */
export async function verify(args: readonly string[]): Promise<number> {
  const { values, positionals } = parse(args, { seed: { type: 'string' } });
  const seed = values.seed ? parseNumber('--seed', values.seed) : Math.floor(Math.random() * 2 ** 31);
  const kinds = positionals.length > 0 ? positionals.map(parseKind) : NAT_KIND_NAMES;
  const verified = await Promise.all(inPool(AT_ONCE, kinds, (kind) => verifySite({ kind }, { seed })));
  const rows: string[][] = [];
  const bad: string[] = [];
  for (const [index, kind] of kinds.entries()) {
    const checks = verified[index] ?? [];
    rows.push([kind, isRight(checks) ? 'yes' : 'NO', checks.map(({ seen }) => seen).join('; ')]);
    bad.push(...complaints(checks).map((complaint) => `${kind}: ${complaint}`));
  }
  printLine(`seed ${seed}`);
  printTable(['kind', 'right', 'seen'], rows);
  for (const line of bad) printLine(line);
  return bad.length === 0 ? 0 : 1;
}
