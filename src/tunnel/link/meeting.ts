import type { Certificate } from '../../certificate.ts';
import type { UnderpassError } from '../../errors.ts';
import type { LinkTranscript } from '../../signaling/peer-message.ts';
import type { Link } from './link.ts';

/** What both ends know of each other once offer and answer have been verified. */
export interface Meeting {
  readonly link: Link;
  readonly peerKey: Buffer;
  readonly transcript: LinkTranscript;
  readonly certificate: Certificate;
  readonly peerFingerprint: Buffer;
  readonly maxStreams: number;
  /** Why no direct path is looked for; undefined where one is. */
  readonly refusal: string | undefined;
  /** The server has given up this search. There may be another one. */
  readonly onRelay: (reason: string) => void;
  /** Something that the user should know of, and that ends nothing. */
  readonly onTrouble: (error: UnderpassError) => void;
}
