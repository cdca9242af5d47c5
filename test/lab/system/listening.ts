import { readFileSync } from 'node:fs';

/** The UDP ports that are bound in a process's namespace, as `address:port`. */
function boundUdp(pid: number): Set<string> {
  let text = '';
  try {
    text = readFileSync(`/proc/${pid}/net/udp`, 'latin1');
  } catch {
    // It is gone, or has not begun.
  }
  const rows = text.split('\n').slice(1, -1);
  return new Set(rows.map((row) => endpoint(row.trim().split(/\s+/)[1] ?? '')));
}

/** proc(5): the address in the order of bytes of the machine, as far as Node runs a little-endian one. */
function endpoint(hex: string): string {
  const [address = '', port = ''] = hex.split(':');
  return `${[...Buffer.from(address, 'hex')].reverse().join('.')}:${Number.parseInt(port, 16)}`;
}

/** Resolves once all of these are bound in the namespace of a process. Throws after five seconds. */
export async function bound(pid: number, endpoints: readonly string[]): Promise<void> {
  const deadline = performance.now() + 5000;
  while (true) {
    const found = boundUdp(pid);
    if (endpoints.every((wanted) => found.has(wanted))) return;
    if (performance.now() > deadline) throw new Error(`process ${pid} did not bind ${endpoints.join(' ')}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
