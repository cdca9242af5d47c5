import type { TunnelEvent } from '../../index.ts';
import type { Output } from '../context.ts';
import { friendCommand, paint, printable } from './format.ts';
import { describePath } from './path.ts';
import type { TunnelAbout } from './view.ts';

type Event<Name extends TunnelEvent['event']> = Extract<TunnelEvent, { event: Name }>;

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
      case 'closed':
        return `Closed ${this.#quoted}.`;
    }
  }

  get #quoted(): string {
    const { tunnel } = this.#about;
    return `'${tunnel.role === 'publisher' ? tunnel.options.name : tunnel.options.target}'`;
  }

  #ready(event: Event<'ready'>): string {
    if (this.#introduced) return `Connected again: ${this.#quoted} works.`;
    this.#introduced = true;
    return event.role === 'publisher' ? this.#published(event.name) : this.#reached(event.listen);
  }

  #published(name: string): string {
    const { tunnel } = this.#about;
    const port = tunnel.options.localPort;
    const host = (tunnel.role === 'publisher' && tunnel.options.localHost) || 'localhost';
    return [
      `${this.#good('Published:')} ${host}:${port} is now ${this.#bold(this.#quoted)}.`,
      '',
      '  A friend runs',
      `    ${this.#bold(friendCommand({ ...this.#about, name, port }))}`,
      `  and connects to ${this.#bold(`localhost:${port}`)}`,
      '',
      'Waiting for friends. Press Ctrl-C to stop.',
    ].join('\n');
  }

  #reached(listen: string): string {
    const where = this.#bold(printable(listen));
    return `${this.#good('Connected:')} ${this.#quoted} is now at ${where}\nConnect your program there. Press Ctrl-C to stop.`;
  }

  #path(event: Event<'path'>): string {
    const { kind, peer = '' } = event;
    const whose = peer === '' ? this.#quoted : `friend ${printable(peer)}`;
    const again = this.#direct.has(peer);
    if (kind === 'direct') this.#direct.add(peer);
    return `Path to ${whose}: ${describePath(event, { again })}`;
  }

  #peer({ action, peer, address, identity }: Event<'peer'>): string {
    const who = `friend ${this.#bold(printable(peer))}`;
    if (action === 'left') {
      this.#direct.delete(peer);
      return `Left: ${who}`;
    }
    return `${this.#good('Joined:')} ${who} from ${printable(address)}, key ${printable(identity)}`;
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
