import { formatPorts, type PublishOptions, parsePorts, type TunnelEvent } from '../../index.ts';
import type { Output } from '../context.ts';
import { formatDuration, friendCommand, paint, printable } from './format.ts';
import { describePath } from './path.ts';
import { describeAddress, describePeers, describeTraffic } from './peers.ts';
import type { TunnelAbout } from './view.ts';

type Event<Name extends TunnelEvent['event']> = Extract<TunnelEvent, { event: Name }>;

type SubscriberReady = Extract<Event<'ready'>, { role: 'subscriber' }>;

/** Ports that are listed one by one. */
const MAX_ROWS = 20;

/** What concerns one tunnel alone. The network is the same for all. */
type OwnEvent = Exclude<TunnelEvent, Event<'nat'>>;

/** Tells a person what happens to one tunnel. */
export class TunnelVoice {
  readonly #about: TunnelAbout;
  readonly #stdout: Output;
  readonly #stderr: Output;
  #introduced = false;
  /** Friends to whom there has been a direct path; a subscriber's only one has no name. */
  readonly #direct = new Set<string>();
  /** The last thing said. A server that stays away for an hour fails the same way every few seconds. */
  #last = '';

  constructor(about: TunnelAbout, stdout: Output, stderr: Output) {
    this.#about = about;
    this.#stdout = stdout;
    this.#stderr = stderr;
  }

  say(event: OwnEvent): void {
    // Whoever asks twice gets two answers.
    if (event.event === 'peers') this.#last = '';
    if (event.event === 'error') this.#write(this.#stderr, this.#error(event));
    else if (event.event === 'identity_changed') this.#write(this.#stderr, this.#identityChanged(event));
    else this.#write(this.#stdout, this.#describe(event));
  }

  #describe(event: Exclude<OwnEvent, Event<'error' | 'identity_changed'>>): string {
    switch (event.event) {
      case 'ready':
        return this.#ready(event);
      case 'waiting':
        return `Nobody publishes ${this.#quoted} yet. Waiting; it connects as soon as somebody does.`;
      case 'path':
        return this.#path(event);
      case 'peer':
        return this.#peer(event);
      case 'peers':
        return describePeers(this.#quoted, event.peers);
      case 'closed':
        return `Closed ${this.#quoted}.`;
    }
  }

  get #publishing(): Partial<PublishOptions> {
    const { tunnel } = this.#about;
    return tunnel.role === 'publisher' ? tunnel.options : {};
  }

  get #quoted(): string {
    const { tunnel } = this.#about;
    return `'${tunnel.role === 'publisher' ? tunnel.options.name : tunnel.options.target}'`;
  }

  #ready(event: Event<'ready'>): string {
    if (this.#introduced) return `Connected again: ${this.#quoted} works.`;
    this.#introduced = true;
    return event.role === 'publisher' ? this.#published(event.name) : this.#reached(event);
  }

  #published(name: string): string {
    const { localHost, localPort, protocol, ports } = this.#publishing;
    const host = localHost ?? 'localhost';
    const offered = parsePorts(ports ?? localPort ?? '', protocol);
    const [first] = offered;
    const port = offered.length === 1 && first !== undefined ? first.port : 'same';
    const there = port === 'same' ? 'the same ports of localhost' : `localhost:${port}`;
    return [
      `${this.#good('Published:')} ${host}:${formatPorts(offered)} is now ${this.#bold(this.#quoted)}.`,
      '',
      '  A friend runs',
      `    ${this.#bold(friendCommand({ ...this.#about, name, port }))}`,
      `  and connects to ${this.#bold(there)}`,
      '',
      'Waiting for friends. Press Ctrl-C to stop.',
    ].join('\n');
  }

  #reached({ listen, ports = [] }: SubscriberReady): string {
    const where = this.#bold(printable(listen));
    const rows = ports.map((port) => `  ${port.port}/${port.protocol} at ${printable(port.listen)}`);
    const surplus = rows.length - MAX_ROWS;
    if (surplus > 0) rows.splice(MAX_ROWS, surplus, `  and ${surplus} more`);
    return [
      `${this.#good('Connected:')} ${this.#quoted} is now at ${where}`,
      ...rows,
      'Connect your program there. Press Ctrl-C to stop.',
    ].join('\n');
  }

  #path(event: Event<'path'>): string {
    const { kind, peer = '' } = event;
    const whose = peer === '' ? this.#quoted : `friend ${printable(peer)}`;
    const again = this.#direct.has(peer);
    if (kind === 'direct') this.#direct.add(peer);
    return `Path to ${whose}: ${describePath(event, { again })}`;
  }

  #peer(event: Event<'peer'>): string {
    const { peer, identity } = event;
    const who = `friend ${this.#bold(printable(peer))}`;
    const from = describeAddress(event.address, event.address_claimed);
    switch (event.action) {
      case 'joined':
        return `${this.#good('Joined:')} ${who} from ${from}, key ${printable(identity)}`;
      case 'refused':
        return `Refused: key ${printable(identity)} from ${from}`;
      case 'left':
        this.#direct.delete(peer);
        return `Left: ${who} after ${formatDuration(event.seconds)}, ${describeTraffic(event)}`;
    }
  }

  #error({ message, hint, retry }: Event<'error'>): string {
    const mark = retry ? paint(this.#stderr, 'yellow', 'Problem:') : paint(this.#stderr, 'red', 'Error:');
    return `${mark} ${printable(message)}${retry ? '. Trying again.' : ''}\n  ${printable(hint)}`;
  }

  #identityChanged({ remembered, seen }: Event<'identity_changed'>): string {
    const mark = paint(this.#stderr, ['red', 'bold'], 'WARNING:');
    return [
      `${mark} ${this.#quoted} is published by somebody else than last time.`,
      `  key last time  ${printable(remembered)}`,
      `  key now        ${printable(seen)}`,
      '  Whoever knows the secret can publish under this name. Ask your friend whether the machine is new.',
    ].join('\n');
  }

  #write(output: Output, text: string): void {
    if (text === this.#last) return;
    this.#last = text;
    const { label } = this.#about;
    const prefix = label === undefined ? '' : `${paint(output, 'cyan', `[${printable(label)}]`)} `;
    output.write(`${text.replace(/^(?=.)/gm, prefix)}\n`);
  }

  #bold(text: string): string {
    return paint(this.#stdout, 'bold', text);
  }

  #good(text: string): string {
    return paint(this.#stdout, 'green', text);
  }
}
