import { Driver } from '../net/driver.ts';
import type { Endpoint } from '../net/endpoint.ts';
import type { Runtime } from '../net/runtime.ts';
import type { DatagramSocket } from '../net/udp-socket.ts';
import { MappingKeeper } from './mapping-keeper.ts';
import type { SourceClaim } from './source-proofs.ts';

export interface KeepMappingOptions {
  /** A share of the socket, whose STUN packets come here; it stays its owner's to close. */
  readonly socket: DatagramSocket;
  /** The STUN server that has seen it last. */
  readonly server: Endpoint;
  /** As what it has been seen. */
  readonly reflexive: Endpoint;
  readonly runtime: Runtime;
  /** The mapping is another one. Goes on with that. */
  readonly onMoved: (reflexive: Endpoint) => void;
  /** Nothing has answered for about a minute, or for another one. */
  readonly onSilent: () => void;
  /** What came of `vouch`, half a second later at most. */
  readonly onVouched: (claim: SourceClaim | undefined) => void;
}

/** Somebody who keeps a mapping alive. */
export interface KeptMapping {
  /** Asks the server to vouch for our address. It must be the one that gave us this. */
  vouch(voucher: Buffer): void;
  /** Something speaks for another mapping: asks now. */
  doubt(): void;
  stop(): void;
}

/** Keeps the mapping of a socket at a STUN server alive, and tells what becomes of it, until it is stopped. */
export function keepMapping(options: KeepMappingOptions): KeptMapping {
  const { socket, server, reflexive, runtime, onMoved, onSilent, onVouched } = options;
  const keeper = new MappingKeeper({ server, reflexive, randomBytes: (size) => runtime.randomBytes(size) });
  const driver = new Driver(keeper, runtime, (output) => {
    switch (output.type) {
      case 'send':
        socket.send(output.bytes, output.to);
        break;
      case 'moved':
        onMoved(output.reflexive);
        break;
      case 'silent':
        onSilent();
        break;
      case 'vouched':
        onVouched(output.claim);
        break;
    }
  });
  socket.onPacket('stun', (bytes, from) => {
    keeper.receive(from, bytes, runtime.now());
    driver.pump();
  });
  keeper.start(runtime.now());
  driver.pump();
  return {
    vouch(voucher) {
      keeper.vouch(voucher, runtime.now());
      driver.pump();
    },
    doubt() {
      keeper.doubt(runtime.now());
      driver.pump();
    },
    stop() {
      driver.stop();
      socket.onPacket('stun', undefined);
    },
  };
}
