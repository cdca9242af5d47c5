import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { environment } from './lab-process.ts';
import { createNamespaces, inside, removeNamespaces } from './namespaces.ts';
import { newPrefix } from './owner.ts';

/** What the laboratory runs, and in which of Debian's packages it is. */
const PROGRAMS: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  nft: 'nftables',
  conntrack: 'conntrack',
  turnserver: 'coturn',
  turnutils_natdiscovery: 'coturn',
  stun: 'stun-client',
  miniupnpd: 'miniupnpd',
  python3: 'python3',
};

/** Uses each part of the kernel that the routers need. */
const TRIAL = `table ip trial {
chain translation {
type nat hook postrouting priority 100
meta l4proto udp snat to 192.0.2.1 : numgen inc mod 2 map { 0 : 1024, 1 : 1025 }
masquerade fully-random
}
chain guard {
type filter hook input priority 0
ct state established,related accept
reject with icmp port-unreachable
}
}
`;

/** Why this machine cannot have a laboratory; undefined if it can. */
export function obstacle(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are Linux only';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const missing = Object.entries(PROGRAMS).filter(([program]) => !isInstalled(program));
  if (missing.length > 0) {
    const packages = new Set(missing.map(([, name]) => name));
    return `not installed: ${missing.map(([program]) => program).join(', ')} (Debian: ${[...packages].join(' ')})`;
  }
  if (!existsSync('/dev/net/tun')) return 'this kernel has no TUN devices';
  return trial();
}

function trial(): string | undefined {
  const name = `${newPrefix()}trial`;
  try {
    createNamespaces([name], []);
    const [program, ...args] = inside(name, ['nft', '-f', '-']);
    execFileSync(program, args, { input: TRIAL, env: environment(), stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `network namespaces with nftables do not work here: ${(error as Error).message}`;
  } finally {
    removeNamespaces([name]);
  }
}

function isInstalled(program: string): boolean {
  return (environment().PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
