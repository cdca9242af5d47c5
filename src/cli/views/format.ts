import { styleText } from 'node:util';
import type { Output } from '../context.ts';
import type { TunnelAbout } from './view.ts';

const MAX_COLUMNS = 80;
const MAX_NAME = 30;

type Style = Parameters<typeof styleText>[0];

/** Text with a style, where the output shows colours. */
export function paint(output: Output, style: Style, text: string): string {
  // The output knows whether to colour; styleText's own check looks at another stream.
  return output.color ? styleText(style, text, { validateStream: false }) : text;
}

/** Text from the network: no control or bidirectional characters reach the terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '?');
}

/** A server's name from outside, printable and short enough to stand in a line. */
export function shortName(name: string): string {
  const text = printable(name);
  return text.length <= MAX_NAME ? text : `${text.slice(0, MAX_NAME - 1)}…`;
}

/** Lines of at most 80 columns, where the words allow. The first begins with `lead`, the others are indented as far. */
export function wrap(text: string, lead = ''): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line === '' || lead.length + longer.length <= MAX_COLUMNS) {
      line = longer;
    } else {
      lines.push(line);
      line = word;
    }
  }
  return lead + [...lines, line].join(`\n${' '.repeat(lead.length)}`);
}

/** `64.0 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** `0.3 ms`, `12 ms`, `3.4 s`. */
export function formatSeconds(seconds: number): string {
  if (seconds >= 1) return `${seconds.toFixed(1)} s`;
  const milliseconds = seconds * 1000;
  return `${Number(milliseconds.toFixed(milliseconds < 9.95 ? 1 : 0))} ms`;
}

/** `42 s`, `12 min`, `3 h 5 min`: how long somebody has been there. */
export function formatDuration(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes === 0) return `${Math.floor(seconds)} s`;
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** The command with which a friend reaches what this tunnel publishes. The secret is left to the two of them. */
export function friendCommand(
  about: TunnelAbout & { readonly name: string; readonly port: number | 'same' },
): string {
  return [
    `underpass p2p ${about.port} --target ${about.name} --secret '<your secret>'`,
    `--server ${shellWord(about.server)}`,
    about.serverFingerprint === undefined ? '' : `--server-fingerprint ${shellWord(about.serverFingerprint)}`,
    about.insecure ? '--insecure' : '',
    about.token ? "--token '<server token>'" : '',
  ]
    .filter((part) => part !== '')
    .join(' ');
}

function shellWord(text: string): string {
  return /^[\w.:/@%+-]+$/.test(text) ? text : `'${printable(text).replaceAll("'", "'\\''")}'`;
}
