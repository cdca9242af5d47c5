import type { UnderpassError } from '../../errors.ts';
import type { NatReport, TunnelEvent } from '../../index.ts';
import { describePathReason } from '../../path-reason.ts';
import type { Output } from '../context.ts';
import { formatBytes, formatSeconds, paint, printable } from './format.ts';
import { summarizeNetwork } from './nat-headline.ts';
import { describeNat } from './nat-report.ts';
import { describePath } from './path.ts';
import { TunnelVoice } from './tunnel-voice.ts';
import type { CommandEvent, NatQuestion, TunnelAbout, View } from './view.ts';

/** Sentences for a person: what happens on standard output, what failed on standard error. */
export class HumanView implements View {
  readonly #stdout: Output;
  readonly #stderr: Output;
  /** The last line about the network, which all tunnels share. */
  #network = '';

  constructor(stdout: Output, stderr: Output) {
    this.#stdout = stdout;
    this.#stderr = stderr;
  }

  tunnel(about: TunnelAbout): (event: TunnelEvent) => void {
    const voice = new TunnelVoice(about, this.#stdout, this.#stderr);
    return (event) => (event.event === 'nat' ? this.#sayNetwork(event) : voice.say(event));
  }

  show(event: CommandEvent): void {
    if (event.event === 'warning') {
      this.#stderr.write(`${paint(this.#stderr, 'yellow', 'Warning:')} ${event.message}\n`);
    } else {
      this.#stdout.write(`${this.#describe(event)}\n`);
    }
  }

  nat(report: NatReport, question: NatQuestion): void {
    this.#stdout.write(describeNat(report, question, this.#stdout));
  }

  error({ message, hint }: UnderpassError): void {
    this.#stderr.write(`${paint(this.#stderr, 'red', 'Error:')} ${message}\n  ${hint}\n`);
  }

  #sayNetwork(report: NatReport): void {
    const line = summarizeNetwork(report);
    if (line === this.#network) return;
    this.#network = line;
    this.#stdout.write(`${line}\n`);
  }

  #describe(event: Exclude<CommandEvent, { event: 'warning' }>): string {
    const bold = (text: string) => paint(this.#stdout, 'bold', text);
    switch (event.event) {
      case 'ready':
        return describeServer(event, bold);
      case 'draining':
        return `Stopping; open tunnels have up to ${event.seconds} s to finish. Ctrl-C ends it at once.`;
      case 'closed':
        return 'The server is closed.';
      case 'demo':
        return [
          'On this machine there are now',
          `  a server      ${bold(event.server)}`,
          `  a publisher   of the service at ${bold(event.service)}`,
          `  a subscriber  listening on ${bold(event.listen)}`,
          `What connects to ${bold(event.listen)} reaches ${event.service} through the tunnel, end-to-end encrypted.`,
          '',
        ].join('\n');
      case 'path':
        return `Path: ${bold(describePath(event))}`;
      case 'fetched': {
        const verdict = event.ok
          ? paint(this.#stdout, 'green', 'every byte is right')
          : paint(this.#stdout, 'red', 'THE BYTES DIFFER');
        const time = `${formatSeconds(event.seconds)}, ${formatBytes(event.bytes / event.seconds)}/s`;
        return `  ${event.file.padEnd(14)} ${formatBytes(event.bytes).padStart(10)}  ${verdict}  (${time})`;
      }
      case 'verified':
        return `\n${describeSuccess(event, bold)}`;
    }
  }
}

type Verified = Extract<CommandEvent, { event: 'verified' }>;

function describeSuccess({ files, bytes, paths, reason }: Verified, bold: (text: string) => string): string {
  const how = paths.includes('direct') ? `each ${paths.join(' and ')}, ` : '';
  const works = `${bold('It works:')} ${files} files, ${how}${formatBytes(bytes)}, all as published.`;
  if (reason === null) return works;
  const why = reason === 'searching' ? 'no direct path was found in time' : describePathReason(reason);
  return `${works}\nEverything was relayed: ${printable(why)}.`;
}

type ServerReady = Extract<CommandEvent, { event: 'ready' }>;

function describeServer({ listen, fingerprint, stun }: ServerReady, bold: (text: string) => string): string {
  const [, port = ''] = /:(\d+)$/.exec(listen) ?? [];
  const flag = fingerprint === null ? '' : ` --server-fingerprint ${fingerprint}`;
  const address = fingerprint === null ? listen : `<this machine>:${port}`;
  const certificate =
    fingerprint === null ? [] : [`  certificate fingerprint (SHA-256)  ${bold(fingerprint)}`];
  const udp = stun?.ports.map((number) => `${number}/udp`).join(' and ');
  const discovery = udp === undefined ? [] : [`  STUN on ${bold(udp)}: open these in the firewall, too`];
  return [
    `underpass server, listening on ${bold(listen)}`,
    ...certificate,
    ...discovery,
    '',
    'Publish a service:',
    `  underpass p2p <port> --name <name> --secret '<your secret>' --server ${address}${flag}`,
    '',
    'Press Ctrl-C to stop.',
  ].join('\n');
}
