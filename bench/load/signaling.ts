import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { once } from 'node:events';
import { WebSocket } from 'ws';

type Message = Readonly<Record<string, unknown>>;

/** The certificate was made a moment ago by the server next door; checking it is not what is measured. */
const OPTIONS = { perMessageDeflate: false, rejectUnauthorized: false };
/** Until a server that does not answer is given up, in milliseconds. */
const PATIENCE = 30_000;

/** Opens a WebSocket and leaves it idle. */
export async function openWebSocket(url: string): Promise<WebSocket> {
  const websocket = new WebSocket(url, OPTIONS);
  await once(websocket, 'open', { signal: AbortSignal.timeout(PATIENCE) });
  return websocket;
}

/**
 * A publisher as the server sees it, with an identity, a session and a name of its own (docs/protocol.md, section 3).
 * The real one derives a key from its secret first, which would take minutes for thousands of them.
 */
export async function openPublisher(server: string, name: string): Promise<WebSocket> {
  const websocket = new WebSocket(`${server}/_control`, OPTIONS);
  const { challenge } = await next(websocket, 'hello');
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const signed = encode('underpass/1 auth', Buffer.from(String(challenge), 'base64url'));
  websocket.send(
    JSON.stringify({
      type: 'auth',
      protocol: 1,
      client_version: 'bench',
      identity: publicKey.export({ format: 'jwk' }).x,
      signature: sign(null, signed, privateKey).toString('base64url'),
    }),
  );
  await next(websocket, 'auth_ok');
  const secrets = [{ key_id: 0, hash: randomBytes(32).toString('hex') }];
  websocket.send(JSON.stringify({ type: 'register', request_id: '1', name, secrets }));
  await next(websocket, 'registered');
  return websocket;
}

async function next(websocket: WebSocket, type: string): Promise<Message> {
  const [data] = await once(websocket, 'message', { signal: AbortSignal.timeout(PATIENCE) });
  const message: Message = JSON.parse(String(data));
  if (message.type === type) return message;
  throw new Error(`the server said ${String(data)} instead of '${type}'`);
}

/** Label and part, each with its length: section 1. */
function encode(label: string, part: Buffer): Buffer {
  return Buffer.concat(
    [Buffer.from(label), part].flatMap((bytes) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}
