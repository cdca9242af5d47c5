/** A table of nftables, written out by `render`. */
export interface Table {
  readonly family: 'ip' | 'ip6' | 'inet';
  readonly name: string;
  readonly sets?: readonly DynamicSet[];
  readonly chains: readonly Chain[];
}

/** A set or map that packets fill and time empties. */
export interface DynamicSet {
  readonly kind: 'set' | 'map';
  readonly name: string;
  readonly type: string;
  /** Seconds until an element that no packet renews is gone. */
  readonly timeout: number;
}

export interface Chain {
  readonly name: string;
  /** Absent for a chain that somebody else jumps to or fills. */
  readonly hook?: { readonly type: 'filter' | 'nat'; readonly at: Hook; readonly priority: number };
  readonly rules: readonly string[];
}

type Hook = 'prerouting' | 'input' | 'forward' | 'postrouting';

/** nft(8), "Standard priority names"; a kind's own chains stand a little before or behind. */
export const PRIORITY = { destination: -100, filter: 0, source: 100, afterSource: 300 } as const;

/** What `nft -f -` reads. */
export function render(tables: readonly Table[]): string {
  return tables.map(renderTable).join('');
}

/** What empties the sets of these tables. */
export function renderFlush(tables: readonly Table[]): string {
  return tables
    .flatMap(({ family, name, sets = [] }) =>
      sets.map((set) => `flush ${set.kind} ${family} ${name} ${set.name}\n`),
    )
    .join('');
}

function renderTable({ family, name, sets = [], chains }: Table): string {
  const body = [...sets.flatMap(renderSet), ...chains.flatMap(renderChain)];
  return [`table ${family} ${name} {`, ...body, '}', ''].join('\n');
}

function renderSet({ kind, name, type, timeout }: DynamicSet): string[] {
  return [
    `${kind} ${name} {`,
    `type ${type}`,
    'flags dynamic,timeout',
    `timeout ${timeout}s`,
    'size 65536',
    '}',
  ];
}

/** nft takes a closing brace only on a line of its own. */
function renderChain({ name, hook, rules }: Chain): string[] {
  const header = hook ? [`type ${hook.type} hook ${hook.at} priority ${hook.priority}`] : [];
  return [`chain ${name} {`, ...header, ...rules, '}'];
}
