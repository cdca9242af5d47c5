import { execFileSync } from 'node:child_process';
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { environment } from './lab-process.ts';

/** Where iproute2 keeps the namespaces that have names. */
const FOLDER = '/run/netns';

/** A pair of interfaces, each in its namespace: packets that leave one arrive at the other. */
export type Cable = readonly [End, End];

export interface End {
  readonly namespace: string;
  readonly interface: string;
}

/**
 * Makes namespaces and the cables between them in one go and without yielding: an interrupted laboratory has all of them or
 * none, never one that appears after the rest was removed. The interfaces never exist in the root namespace.
 */
export function createNamespaces(names: Iterable<string>, cables: Iterable<Cable>): void {
  const commands = [...names].map((name) => `netns add ${name}`);
  for (const [one, other] of cables) {
    const peer = `peer name ${other.interface} netns ${other.namespace}`;
    commands.push(`link add ${one.interface} netns ${one.namespace} type veth ${peer}`);
  }
  ip(['-batch', '-'], commands);
}

/** The command that runs `argv` inside a namespace. */
export function inside(namespace: string, argv: readonly string[]): [string, ...string[]] {
  return ['ip', 'netns', 'exec', namespace, ...argv];
}

export function namespacesThat(match: (name: string) => boolean): string[] {
  return list(FOLDER).filter(match);
}

/** Ends whatever runs in them, and removes them. One that somebody else removes meanwhile is no failure. */
export function removeNamespaces(names: readonly string[]): void {
  if (names.length === 0) return;
  for (const pid of processesIn(names)) kill(pid);
  const commands = names.map((name) => `netns del ${name}`);
  try {
    ip(['-force', '-batch', '-'], commands);
  } catch (error) {
    const left = list(FOLDER).filter((name) => names.includes(name));
    if (left.length > 0) throw new Error(`cannot remove ${left.join(' ')}`, { cause: error });
  }
}

function processesIn(names: readonly string[]): number[] {
  const own = readlinkSync('/proc/self/ns/net');
  const wanted = new Set(names.map(identityOf).filter((identity) => identity !== own));
  return list('/proc')
    .filter((entry) => /^\d+$/.test(entry) && wanted.has(namespaceOf(entry)))
    .map(Number);
}

/** As the links in /proc/pid/ns read, namespaces(7). */
function identityOf(name: string): string | undefined {
  const file = statSync(join(FOLDER, name), { throwIfNoEntry: false });
  return file && `net:[${file.ino}]`;
}

function namespaceOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return 'gone';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function ip(options: readonly string[], commands: readonly string[]): void {
  execFileSync('ip', options, { input: `${commands.join('\n')}\n`, env: environment(), stdio: 'pipe' });
}
