// A program that embeds underpass: it must end by itself when it has closed what it opened.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { Client, loadServerConfig, startServer, UnderpassError } from 'underpass';

const stateDir = process.argv[2];
const secret = 'a-secret-of-the-embedding-program';

/** Opens a tunnel, and resolves with it and its first `ready` event. */
function ready(open) {
  return new Promise((resolve, reject) => {
    const tunnel = open((event) => {
      if (event.event === 'ready') setImmediate(() => resolve([tunnel, event]));
    });
    tunnel.closed.then(reject);
  });
}

const service = createServer((socket) => socket.pipe(socket));
await once(service.listen(0, '127.0.0.1'), 'listening');

const config = loadServerConfig(undefined, { listen: '127.0.0.1:0', stunEnabled: false });
const server = await startServer(config, { stateDir: join(stateDir, 'server') });
const { listen, fingerprint: serverFingerprint } = server;
const access = { server: listen, serverFingerprint };
const [one, two] = ['one', 'two'].map((name) => new Client({ ...access, stateDir: join(stateDir, name) }));

const { port } = service.address();
const [published] = await ready((onEvent) =>
  one.publish({ name: 'embedded', secret, localHost: '127.0.0.1', localPort: port }, onEvent),
);
const [subscribed, event] = await ready((onEvent) =>
  two.subscribe({ target: 'embedded', secret, localPort: 0 }, onEvent),
);
const socket = connect(Number(event.listen.split(':').pop()), '127.0.0.1');
socket.end('embedded');
const chunks = await socket.toArray();
process.stdout.write(`echo ${Buffer.concat(chunks)}\n`);

const refused = two.subscribe(
  { target: 'embedded', secret: 'another-secret-entirely', localPort: 0 },
  () => {},
);
const error = await refused.closed;
process.stdout.write(`refused ${error instanceof UnderpassError} ${error.code}\n`);

await two.close();
await one.close();
await server.close();
service.close();
process.stdout.write(`closed ${await published.closed} ${await subscribed.closed}\n`);
