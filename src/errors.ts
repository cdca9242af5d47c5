/** Decides the exit code and what a caller can do about it. */
export type ErrorCategory = 'usage' | 'authentication' | 'network' | 'conflict' | 'internal';

interface Entry {
  readonly category: ErrorCategory;
  /** Whether trying the same again later can help. */
  readonly retry: boolean;
  /** A sentence a player understands; `{…}` is filled from the error's details. */
  readonly message: string;
  /** What to do next. */
  readonly hint: string;
}

const usage = (message: string, hint: string): Entry => ({ category: 'usage', retry: false, message, hint });
const authentication = (message: string, hint: string): Entry => ({
  category: 'authentication',
  retry: false,
  message,
  hint,
});
const network = (message: string, hint: string): Entry => ({
  category: 'network',
  retry: true,
  message,
  hint,
});
const conflict = (message: string, hint: string): Entry => ({
  category: 'conflict',
  retry: false,
  message,
  hint,
});

/** Every failure underpass has a name for. `docs/errors.md` lists the same and is tested against it. */
export const catalogue = {
  mode_required: usage(
    'P2P mode requires --name or --target',
    'Add --name NAME to publish a service, or --target NAME to reach one.',
  ),
  mode_conflict: usage(
    '--name and --target cannot be used together',
    'Use --name to publish a service or --target to reach one; run two commands for both.',
  ),
  name_invalid: usage(
    "'{name}' is not a valid tunnel name",
    'A name has 1 to 64 characters of a-z, 0-9, dot, dash and underscore.',
  ),
  port_invalid: usage("'{port}' is not a valid port", 'A port is a whole number from 1 to 65535.'),
  ports_invalid: usage(
    "'{ports}' cannot be understood: {problem}",
    'Write 27015, 27015/udp, 27015/tcp+udp or 27015-27020/udp, with commas between several; to reach a tunnel 8000, same or 0.',
  ),
  ports_mismatch: usage(
    "the ports that '{name}' offers do not fit here: {problem}",
    "Choose another port; 'same' takes those that are offered, and 0 any that are free.",
  ),
  address_invalid: usage("'{address}' is not a valid address", 'Write it as host:port, ws://… or wss://….'),
  secret_missing: usage(
    'a P2P tunnel needs a secret',
    'Give --secret, --secret-file, UNDERPASS_SECRET or p2p_secret; both sides use the same one.',
  ),
  secret_invalid: usage(
    'the secret is empty or too long',
    'A secret has 1 to 1024 bytes; 16 random characters or more are good.',
  ),
  server_missing: usage(
    'no server is given',
    'Give --server HOST:PORT, UNDERPASS_SERVER, or server in the configuration file.',
  ),
  argument_invalid: usage('{problem}', 'Run the command with --help to see what it takes.'),
  config_invalid: usage('{file}:{line}: {key}: {problem}', 'docs/configuration.md lists every key.'),
  file_unreadable: usage(
    'cannot read {file}: {problem}',
    'Check that the file exists and that you may read it.',
  ),
  file_unwritable: usage('cannot write {file}: {problem}', 'Check the folder and its permissions.'),
  port_in_use: usage(
    'port {port} on {host} is already in use',
    'Choose another port, or close the program that uses it.',
  ),
  listen_failed: usage(
    'cannot listen on {host}:{port}: {problem}',
    'Check that the address belongs to this machine and that you may use the port.',
  ),
  plain_refused: usage(
    'refusing an unencrypted connection to {host}',
    'Use wss://. If a reverse proxy or a VPN encrypts it already, add --insecure.',
  ),
  auth_failed: authentication(
    'the server did not accept the token',
    'Check --token or UNDERPASS_TOKEN with whoever runs the server.',
  ),
  identity_invalid: authentication(
    'the server did not accept the proof of identity',
    'If it repeats, move the identity file of this server in ~/.underpass away; a new one is made.',
  ),
  invalid_secret: authentication('invalid P2P secret', 'Both sides must use the same name and secret.'),
  server_untrusted: authentication(
    'the certificate of {host} is not trusted ({problem}); its fingerprint is {fingerprint}',
    'Compare the fingerprint with the one the server printed; if they match, add --server-fingerprint {fingerprint}.',
  ),
  peer_unverified: authentication(
    "the peer of '{name}' could not be verified",
    'The server accepted the secret, so somebody between you changed the messages. Do not trust this server.',
  ),
  peer_certificate: authentication(
    "the peer of '{name}' showed a wrong certificate",
    'Somebody between you may have tried to read the traffic; nothing was sent. Do not trust this server.',
  ),
  server_unreachable: network(
    'cannot reach the server {host}: {problem}',
    'Check the address, that the server runs, and that its port is open.',
  ),
  server_lost: network('the connection to the server was lost', 'underpass connects again by itself.'),
  heartbeat_timeout: network('the server stopped answering', 'underpass connects again by itself.'),
  server_restarting: network('the server is restarting', 'underpass connects again by itself.'),
  server_full: network('the server is full', 'Try again later, or ask its operator to raise the limits.'),
  rate_limited: network('too many attempts; the server asks to wait', 'Wait a minute and try again.'),
  protocol_error: network(
    'the other side broke the protocol ({problem})',
    'Check that it is an underpass server, and that both sides are up to date.',
  ),
  protocol_unsupported: {
    ...network(
      'the other side speaks no protocol version that this one knows',
      'Update the older of the two.',
    ),
    retry: false,
  },
  stun_missing: {
    ...network(
      'the server {host} does not answer STUN',
      'Name another STUN server with --stun host:port; the operator can open 3478/udp and 3479/udp.',
    ),
    retry: false,
  },
  direct_unavailable: {
    ...network(
      "'{name}' cannot be reached directly ({reason})",
      "Use mode 'auto': it relays what cannot go directly, and the server cannot read it.",
    ),
    retry: false,
  },
  tunnel_not_found: network(
    "P2P tunnel '{name}' not found",
    'Check the name, and that your friend has started publishing on the same server.',
  ),
  peer_timeout: network(
    "the publisher of '{name}' did not answer in time",
    'Its connection may be down; underpass tries again.',
  ),
  peer_refused: network(
    "the publisher of '{name}' refused the connection",
    'It may be full, or not admit your key: ask your friend, or try again later.',
  ),
  peer_lost: network("the link to the peer of '{name}' was lost", 'underpass builds a new one by itself.'),
  peer_left: network(
    "the other end of '{name}' has closed the link",
    'underpass builds a new one as soon as it is back.',
  ),
  service_unreachable: network(
    "'{name}' is published, but its local service does not answer",
    'The publisher has to start the service, or publish the port that it listens on.',
  ),
  too_many_tunnels: network('this session has too many tunnels', 'Ask the operator to raise the limit.'),
  too_many_links: network('too many links to this publisher or on this server', 'Try again later.'),
  too_many_channels: network(
    'too many connections through one tunnel',
    'Close some; a link carries 1024 at a time.',
  ),
  name_in_use: conflict(
    "P2P tunnel name '{name}' is already in use",
    'Choose another name. If it is yours from another machine, stop it there first.',
  ),
  replaced: conflict(
    "'{name}' is now published by another underpass of yours",
    'The newest one wins; stop the other one before starting this again.',
  ),
  internal: {
    category: 'internal',
    retry: false,
    message: 'something went wrong inside underpass: {problem}',
    hint: 'Please report it, with what you did and the log at level debug.',
  },
} satisfies Record<string, Entry>;

export type ErrorCode = keyof typeof catalogue;

export type ErrorDetails = Readonly<Record<string, string | number>>;

/** The one error type. Match on `code`, never on the text. */
export class UnderpassError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(fill(catalogue[code].message, details), options);
    this.name = 'UnderpassError';
    this.code = code;
    this.details = details;
  }

  get category(): ErrorCategory {
    return catalogue[this.code].category;
  }

  get retry(): boolean {
    return catalogue[this.code].retry;
  }

  get hint(): string {
    return fill(catalogue[this.code].hint, this.details);
  }
}

/** Any thrown value as an UnderpassError; what is not one becomes `internal`, with the original as its cause. */
export function asUnderpassError(thrown: unknown): UnderpassError {
  if (thrown instanceof UnderpassError) return thrown;
  const problem = thrown instanceof Error ? thrown.message : String(thrown);
  return new UnderpassError('internal', { problem }, { cause: thrown });
}

/** Whether a code that came over the wire is one of ours. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(catalogue, code);
}

function fill(template: string, details: ErrorDetails): string {
  return template.replace(/\{(\w+)\}/g, (_, key: string) => printable(String(details[key] ?? 'unknown')));
}

/** Details can come from a peer: no control or bidirectional characters reach a terminal, and no novel. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '?').slice(0, 500);
}
