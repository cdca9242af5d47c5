import { styleText } from 'node:util';
import type { Output } from '../context.ts';
import type { TunnelAbout } from './view.ts';

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

/** `12 ms`, `3.4 s`. */
export function formatSeconds(seconds: number): string {
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
}

/** The command with which a friend reaches what this tunnel publishes. The secret is left to the two of them. */
export function friendCommand(about: TunnelAbout & { readonly name: string; readonly port: number }): string {
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
