import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { findAll, parseXml, textOf } from '../../../src/nat/port-mapping/xml.ts';
import { description, soapFault, soapResponse } from './igd-documents.ts';

const TYPE = 'urn:schemas-upnp-org:service:WANIPConnection:1';

/** A router that speaks UPnP, on a loopback address of its own. Its fields may be changed at any time. */
export class FakeIgd {
  readonly address: string;
  external = '45.80.1.7';
  /** Answers to `M-SEARCH`, with the place of the description. */
  locations: (own: string) => string[] = (own) => [own];
  /** Answers a request instead of us. */
  hijack: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
  /** Answers an action with this fault. */
  fault: (action: string) => number | undefined = () => undefined;
  /** How long it takes to add a mapping, in milliseconds. It does not notice that nobody waits for it any more. */
  addingTime = 0;
  /** External port to internal address and port. */
  readonly table = new Map<number, string>();
  readonly leases: number[] = [];
  /** What was asked by HTTP: `GET /desc.xml`, `AddPortMapping`. */
  readonly asked: string[] = [];
  searches = 0;
  readonly #ssdp = createSocket('udp4');
  readonly #http = createServer((request, response) => void this.#serve(request, response));

  constructor(address: string) {
    this.address = address;
    this.#ssdp.on('message', (_, from) => {
      this.searches++;
      for (const location of this.locations(this.url)) {
        const answer = `HTTP/1.1 200 OK\r\nST: x\r\nLOCATION: ${location}\r\n\r\n`;
        this.#ssdp.send(answer, from.port, from.address);
      }
    });
  }

  async open(): Promise<this> {
    this.#ssdp.bind(1900, this.address);
    this.#http.listen(0, this.address);
    await Promise.all([once(this.#ssdp, 'listening'), once(this.#http, 'listening')]);
    return this;
  }

  async close(): Promise<void> {
    this.#ssdp.close();
    this.#http.closeAllConnections();
    this.#http.close();
    await once(this.#http, 'close');
  }

  get url(): string {
    return `http://${this.address}:${(this.#http.address() as AddressInfo).port}/desc.xml`;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const action = /#(\w+)"?$/.exec(String(request.headers.soapaction))?.[1];
    this.asked.push(action ?? `${request.method} ${request.url}`);
    if (this.hijack?.(request, response)) return;
    if (action === undefined) {
      response.end(description([{ type: TYPE, control: '/ctl' }]));
      return;
    }
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece);
    if (action === 'AddPortMapping' && this.addingTime > 0)
      await new Promise((resolve) => setTimeout(resolve, this.addingTime));
    const code = this.fault(action) ?? this.#act(action, Buffer.concat(pieces).toString());
    response.statusCode = code === undefined ? 200 : 500;
    const field = `<NewExternalIPAddress>${this.external}</NewExternalIPAddress>`;
    response.end(code === undefined ? soapResponse(TYPE, action, field) : soapFault(code));
  }

  #act(action: string, body: string): number | undefined {
    const root = parseXml(body);
    const [call] = root ? findAll(root, action.toLowerCase()) : [];
    const value = (name: string) => (call && textOf(call, name)) ?? '';
    const port = Number(value('newexternalport'));
    const target = `${value('newinternalclient')}:${value('newinternalport')}`;
    if (action === 'DeletePortMapping') return this.table.delete(port) ? undefined : 714;
    if (action !== 'AddPortMapping') return undefined;
    if ((this.table.get(port) ?? target) !== target) return 718;
    this.table.set(port, target);
    this.leases.push(Number(value('newleaseduration')));
    return undefined;
  }
}
