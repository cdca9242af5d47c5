import type { TunnelEvent } from '../../index.ts';
import { describePathReason } from '../../path-reason.ts';
import { formatSeconds, printable } from './format.ts';

type Path = Omit<Extract<TunnelEvent, { event: 'path' }>, 'event' | 'target' | 'peer'>;

/** How a path goes, in a line. @param again whether there has been a direct one before */
export function describePath(path: Path, { again } = { again: false }): string {
  if (path.kind === 'none') return 'none at the moment; connections wait for the next one';
  const rtt = path.rtt_ms === null ? '' : `round trip ${formatSeconds(path.rtt_ms / 1000)}`;
  const parts = path.kind === 'direct' ? direct(path, again) : [relayed(path)];
  return [...parts, 'end-to-end encrypted', rtt].filter((part) => part !== '').join(', ');
}

function direct({ strategy, remote, elapsed_ms: elapsed }: Path, again: boolean): string[] {
  const how = strategy === null ? '' : ` (${printable(strategy)})`;
  const found = elapsed === null ? '' : `found after ${formatSearch(elapsed)}`;
  return [`direct${again ? ' again' : ''}${how}`, remote === null ? '' : printable(remote), found];
}

function relayed({ reason }: Path): string {
  return `relayed by the server${reason === null ? '' : ` (${printable(describePathReason(reason))})`}`;
}

/** `40 ms`, `0.4 s`: nobody waits for it, so that it is told more roughly than a round trip. */
function formatSearch(milliseconds: number): string {
  return milliseconds < 100 ? formatSeconds(milliseconds / 1000) : `${(milliseconds / 1000).toFixed(1)} s`;
}
