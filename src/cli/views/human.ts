import type { UnderpassError } from '../../errors.ts';
import type { TunnelEvent } from '../../index.ts';
import type { Output } from '../context.ts';
import { formatBytes, formatSeconds, paint } from './format.ts';
import { TunnelVoice } from './tunnel-voice.ts';
import type { CommandEvent, TunnelAbout, View } from './view.ts';

/** Sentences for a person: what happens on standard output, what failed on standard error. */
export class HumanView implements View {
  readonly #stdout: Output;
  readonly #stderr: Output;

  constructor(stdout: Output, stderr: Output) {
    this.#stdout = stdout;
    this.#stderr = stderr;
  }

  tunnel(about: TunnelAbout): (event: TunnelEvent) => void {
    const voice = new TunnelVoice(about, this.#stdout, this.#stderr);
    return (event) => voice.say(event);
  }

  show(event: CommandEvent): void {
    if (event.event === 'warning') {
      this.#stderr.write(`${paint(this.#stderr, 'yellow', 'Warning:')} ${event.message}\n`);
    } else {
      this.#stdout.write(`${this.#describe(event)}\n`);
    }
  }

  error({ message, hint }: UnderpassError): void {
    this.#stderr.write(`${paint(this.#stderr, 'red', 'Error:')} ${message}\n  ${hint}\n`);
  }

  #describe(event: Exclude<CommandEvent, { event: 'warning' }>): string {
    const bold = (text: string) => paint(this.#stdout, 'bold', text);
    switch (event.event) {
      case 'ready':
        return describeServer(event.listen, event.fingerprint, bold);
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
      case 'fetched': {
        const verdict = event.ok
          ? paint(this.#stdout, 'green', 'every byte is right')
          : paint(this.#stdout, 'red', 'THE BYTES DIFFER');
        const time = `${formatSeconds(event.seconds)}, ${formatBytes(event.bytes / event.seconds)}/s`;
        return `  ${event.file.padEnd(14)} ${formatBytes(event.bytes).padStart(10)}  ${verdict}  (${time})`;
      }
      case 'verified':
        return `\n${bold('It works:')} ${event.files} files, ${formatBytes(event.bytes)}, all as published.`;
    }
  }
}

function describeServer(listen: string, fingerprint: string | null, bold: (text: string) => string): string {
  const [, port = ''] = /:(\d+)$/.exec(listen) ?? [];
  const flag = fingerprint === null ? '' : ` --server-fingerprint ${fingerprint}`;
  const address = fingerprint === null ? listen : `<this machine>:${port}`;
  const certificate =
    fingerprint === null ? [] : [`  certificate fingerprint (SHA-256)  ${bold(fingerprint)}`];
  return [
    `underpass server, listening on ${bold(listen)}`,
    ...certificate,
    '',
    'Publish a service:',
    `  underpass p2p <port> --name <name> --secret '<your secret>' --server ${address}${flag}`,
    '',
    'Press Ctrl-C to stop.',
  ].join('\n');
}
