import { decodeAll, type Frame, frameBytes } from './naive-frames.ts';

const [DATA, WINDOW_UPDATE, PING] = [0, 1, 2];
const [SYN, ACK, FIN, RST] = [1, 2, 4, 8];
const WINDOW = 256 * 1024;

interface NaiveStream {
  toSend: string;
  sendWindow: number;
  ending: boolean;
  finSent: boolean;
  received: string;
  finReceived: boolean;
  reset: boolean;
}

/**
 * A yamux peer written straight from HashiCorp's specification, without a thought for speed: it keeps all bytes, looks at
 * them from the start, sends a stream's data in one frame as far as the window goes, and grants window on receipt.
 */
export class NaiveYamux {
  readonly streams = new Map<number, NaiveStream>();
  #nextId: number;
  #unread: Buffer = Buffer.alloc(0);
  #out: Buffer[] = [];
  goneAway = false;
  pongs = 0;

  constructor(role: 'client' | 'server') {
    this.#nextId = role === 'client' ? 1 : 2;
  }

  open(): number {
    const id = this.#nextId;
    this.#nextId += 2;
    this.#add(id);
    this.#out.push(frameBytes(WINDOW_UPDATE, SYN, id, 0));
    return id;
  }

  send(id: number, text: string): void {
    this.#stream(id).toSend += text;
  }

  end(id: number): void {
    this.#stream(id).ending = true;
  }

  reset(id: number): void {
    this.#stream(id).reset = true;
    this.#out.push(frameBytes(WINDOW_UPDATE, RST, id, 0));
  }

  ping(value: number): void {
    this.#out.push(frameBytes(PING, SYN, 0, value));
  }

  receive(bytes: Buffer): void {
    const { frames, stop, rest } = decodeAll(Buffer.concat([this.#unread, bytes]));
    if (stop === 'garbage') throw new Error('the session sent garbage');
    this.#unread = rest;
    for (const frame of frames) this.#handle(frame);
  }

  /** Everything that can be sent now, frame by frame. */
  transmit(): Buffer[] {
    for (const [id, stream] of this.streams) {
      if (stream.reset || stream.finSent) continue;
      const text = stream.toSend.slice(0, stream.sendWindow);
      stream.toSend = stream.toSend.slice(text.length);
      stream.sendWindow -= text.length;
      stream.finSent = stream.ending && stream.toSend === '';
      if (text !== '' || stream.finSent)
        this.#out.push(frameBytes(DATA, stream.finSent ? FIN : 0, id, text.length, text));
    }
    return this.#out.splice(0);
  }

  #handle({ type, flags, stream: id, length, payload }: Frame): void {
    if (type === PING && flags === SYN) this.#out.push(frameBytes(PING, ACK, 0, length));
    else if (type === PING) this.pongs += 1;
    else if (type > PING) this.goneAway = true;
    else {
      if (flags & SYN) {
        this.#add(id);
        this.#out.push(frameBytes(WINDOW_UPDATE, ACK, id, 0));
      }
      const stream = this.#stream(id);
      if (flags & RST) stream.reset = true;
      if (stream.reset) return;
      if (type === WINDOW_UPDATE) stream.sendWindow += length;
      else if (length > 0) {
        if (stream.finReceived) throw new Error('data after FIN');
        stream.received += payload.toString('latin1');
        this.#out.push(frameBytes(WINDOW_UPDATE, 0, id, length));
      }
      if (flags & FIN) stream.finReceived = true;
    }
  }

  #add(id: number): void {
    if (this.streams.has(id)) throw new Error(`stream ${id} opened twice`);
    this.streams.set(id, {
      toSend: '',
      sendWindow: WINDOW,
      ending: false,
      finSent: false,
      received: '',
      finReceived: false,
      reset: false,
    });
  }

  #stream(id: number): NaiveStream {
    const stream = this.streams.get(id);
    if (stream === undefined) throw new Error(`nothing is known of stream ${id}`);
    return stream;
  }
}
