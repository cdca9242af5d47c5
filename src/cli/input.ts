import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { isatty } from 'node:tty';
import type { Input } from './context.ts';

/** A longer line is no command of ours, and nobody shall fill the memory with one. */
const MAX_LINE = 1024;

/** Standard input, which is not touched before somebody asks for its lines. */
export function processInput(): Input {
  return {
    isTerminal: isatty(0),
    onLine: (callback) => {
      const { stdin } = process;
      stdin.setEncoding('utf8');
      stdin.on('data', splitLines(callback));
      // A terminal that has gone is no reason to end.
      stdin.on('error', () => {});
      if (stdin.isTTY) keepToForeground(stdin);
      // The program ends when its tunnels do, and not when its input does.
      if (stdin instanceof Socket) stdin.unref();
    },
  };
}

/** Cuts text, in whatever pieces it comes, into lines without their ends. */
export function splitLines(callback: (line: string) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split('\n');
    rest = (lines.pop() ?? '').slice(0, MAX_LINE);
    for (const line of lines) callback(line.replace(/\r$/, ''));
  };
}

/** A background job that reads its terminal is stopped by the system: it reads only while it has the foreground. */
function keepToForeground(stdin: NodeJS.ReadStream): void {
  const look = () => {
    if (inForeground()) stdin.resume();
    else stdin.pause();
  };
  look();
  // What the shell sends when it lets a stopped job go on, before or behind. A running one that is brought back with `fg` gets
  // nothing, and hears what is typed after the next stop.
  if (process.platform !== 'win32') process.on('SIGCONT', look);
}

function inForeground(): boolean {
  if (process.platform === 'win32') return true;
  const [own, terminal] = processGroups();
  return own !== undefined && own === terminal;
}

/** This process's group, and that which has the terminal. */
function processGroups(): readonly (string | undefined)[] {
  if (process.platform !== 'linux') {
    const { stdout } = spawnSync('ps', ['-o', 'pgid=,tpgid=', '-p', String(process.pid)], {
      encoding: 'utf8',
    });
    return stdout?.trim().split(/\s+/) ?? [];
  }
  // proc(5): after the name in parentheses come state, ppid, pgrp, session, tty_nr and tpgid.
  const [, , group, , , terminal] = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return [group, terminal];
}
