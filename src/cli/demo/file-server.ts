import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DemoFile } from './files.ts';

/** A local service for the demo to publish. */
export interface FileServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves files over HTTP, on a free port of this machine; and at `/` nothing, for those who time it. */
export async function serveFiles(files: readonly DemoFile[]): Promise<FileServer> {
  const contents = new Map(files.map(({ name, content }) => [`/${name}`, content]));
  const server = createServer((request, response) => {
    const content = contents.get(request.url ?? '');
    if (request.url === '/') {
      response.writeHead(204).end();
    } else if (content === undefined) {
      response.writeHead(404).end();
    } else {
      const headers = { 'content-type': 'application/octet-stream', 'content-length': content.length };
      response.writeHead(200, headers).end(content);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
