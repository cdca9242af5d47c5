/** Why a link is relayed, as `path` events say it, in the words of people. */
const REASONS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    searching: 'while a direct path is looked for',
    lost: 'the direct path was lost; another one is looked for',
    silent: 'the direct path is silent at the moment',
    off: 'mode relay was asked for',
    'peer-off': 'the other side has asked for mode relay',
    'server-off': 'the server keeps everybody relayed',
    unsupported: 'no QUIC for this platform',
    'peer-unsupported': "no QUIC for the other side's platform",
    unpredictable: 'both NATs keep changing ports, too many to guess',
    unmeasured: 'what one of the NATs does could not be measured',
    'udp-blocked': 'UDP is blocked on one side',
    'no-hairpin': 'both are behind one NAT that does not lead back to itself',
    unvouched: 'the server cannot tell where one side is: its STUN did not hear from it',
    exhausted: 'everything was tried, nothing got through',
    busy: 'others at the same address were still searching',
    refused: 'one side does not take part',
  }),
);

/** A phrase for a `reason` of a `path` event; a word that a newer server has chosen stays as it is. */
export function describePathReason(reason: string): string {
  return REASONS.get(reason) ?? reason;
}
