import { NAT_KIND_NAMES, NAT_KINDS } from '../kinds/nat-kinds.ts';
import { printTable } from './table.ts';

/** `lab kinds` */
export async function kinds(): Promise<number> {
  printTable(
    ['kind', 'what it is'],
    NAT_KIND_NAMES.map((name) => [name, NAT_KINDS[name].title]),
  );
  return 0;
}
