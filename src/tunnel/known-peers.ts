import { z } from 'zod';
import { UnderpassError } from '../errors.ts';
import { identityFingerprint } from '../identity.ts';
import { readPrivate, replacePrivate } from './private-file.ts';

/** Whether a publisher is the one met before; `remembered` is the fingerprint of the one that was. */
export type PeerMemory =
  | { readonly changed: false }
  | { readonly changed: true; readonly remembered: string };

/** Publishers remembered; past that the ones met first are forgotten. */
const MAX_PEERS = 4096;

const schema = z.strictObject({
  version: z.literal(1),
  peers: z
    .array(
      z.strictObject({
        server: z.string().max(512),
        name: z.string().max(64),
        identity: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
      }),
    )
    .max(MAX_PEERS),
});
type Peers = z.infer<typeof schema>['peers'];

/** Reading, changing and writing is one step: every file of this process waits for the one before, and all are rare. */
let previous: Promise<unknown> = Promise.resolve();

/**
 * Remembers the identity of the publisher of `name` on `server` in the JSON file `file`, in place of an earlier one, so
 * that each change is told once. Throws `file_unreadable` or `file_unwritable`; a damaged file is never overwritten.
 */
export function rememberPeer(
  file: string,
  server: string,
  name: string,
  identity: Buffer,
): Promise<PeerMemory> {
  const remembering = previous.then(() => remember(file, server, name, identity));
  previous = remembering.catch(() => undefined);
  return remembering;
}

async function remember(file: string, server: string, name: string, identity: Buffer): Promise<PeerMemory> {
  const peers = await load(file);
  const publicKey = identity.toString('base64url');
  const known = peers.find((peer) => peer.server === server && peer.name === name);
  if (known?.identity === publicKey) return { changed: false };
  const others = peers.filter((peer) => peer !== known);
  const kept = [...others, { server, name, identity: publicKey }].slice(-MAX_PEERS);
  await replacePrivate(file, `${JSON.stringify({ version: 1, peers: kept }, null, 1)}\n`);
  if (!known) return { changed: false };
  return { changed: true, remembered: identityFingerprint(Buffer.from(known.identity, 'base64url')) };
}

async function load(file: string): Promise<Peers> {
  const text = await readPrivate(file);
  if (text === undefined) return [];
  try {
    return schema.parse(JSON.parse(text)).peers;
  } catch (cause) {
    const problem = 'it is damaged; repair it, or move it away to forget the publishers it remembers';
    throw new UnderpassError('file_unreadable', { file, problem }, { cause });
  }
}
