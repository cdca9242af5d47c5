import { createPrivateKey, X509Certificate } from 'node:crypto';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { createServerCertificate } from '../certificate.ts';
import { UnderpassError } from '../errors.ts';
import { Identity, sha256 } from '../identity.ts';
import { type PeerMemory, rememberPeer } from './known-peers.ts';
import { readOrCreatePrivate } from './private-file.ts';

/** Where a user's files are. */
export interface Directories {
  /** `config.yml`, which people write. */
  readonly config: string;
  /** Keys and known publishers, which underpass writes. */
  readonly state: string;
}

/** `~/.underpass` for everything, unless the XDG variables name other places (absolute ones; others do not count). */
export function userDirectories(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  home: string = homedir(),
): Directories {
  const directory = (variable: string) => {
    const base = environment[variable];
    return base && isAbsolute(base) ? join(base, 'underpass') : join(home, '.underpass');
  };
  return { config: directory('XDG_CONFIG_HOME'), state: directory('XDG_STATE_HOME') };
}

/** Names for which a certificate of our own is valid; from elsewhere it is trusted by its fingerprint. */
const OWN_HOSTS = ['localhost', '127.0.0.1', '::1'];

/** The state directory. It is made (0700) when something is first kept. Several processes may share it. */
export class Store {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** This user's key for a server (`host:port`), made when it is first asked for. */
  async identity(server: string): Promise<Identity> {
    const file = join(this.#directory, `identity-${fileNameOf(server.toLowerCase())}.pem`);
    const pem = await readOrCreatePrivate(file, async () => Identity.generate().toPem());
    const identity = Identity.fromPem(pem);
    if (!identity) throw new UnderpassError('file_unreadable', { file, problem: 'it holds no Ed25519 key' });
    return identity;
  }

  /** The certificate that a server makes for itself and keeps, and its key; both PEM. */
  async serverCertificate(): Promise<{ cert: string; key: string }> {
    const file = join(this.#directory, 'server.pem');
    // One file for both, so that they always belong together.
    const pem = await readOrCreatePrivate(file, async () => {
      const { cert, key } = await createServerCertificate(OWN_HOSTS);
      return `${cert.trim()}\n${key.trim()}\n`;
    });
    const cert = block(pem, 'CERTIFICATE');
    const key = block(pem, 'PRIVATE KEY');
    if (cert && key && belongTogether(cert, key)) return { cert, key };
    throw new UnderpassError('file_unreadable', { file, problem: 'it holds no certificate with its key' });
  }

  /** Whether the publisher of `name` is still the one that was met on this server before; remembers it from now on. */
  rememberPeer(server: string, name: string, identityPublicKey: Buffer): Promise<PeerMemory> {
    const file = join(this.#directory, 'known-publishers.json');
    return rememberPeer(file, server.toLowerCase(), name, identityPublicKey);
  }
}

/** Readable, safe on every file system, and different for different servers. */
function fileNameOf(server: string): string {
  const readable = server.replace(/[^a-z0-9.-]/g, '_').slice(0, 80);
  return `${readable}-${sha256(Buffer.from(server)).toString('hex', 0, 6)}`;
}

function block(pem: string, label: string): string | undefined {
  return new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`).exec(pem)?.[0].concat('\n');
}

function belongTogether(cert: string, key: string): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}
