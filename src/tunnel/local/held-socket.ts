import { type KeepMappingOptions, type KeptMapping, keepMapping } from '../../nat/mapping-keeper-client.ts';
import { SharedSocket, type SocketShare } from '../../net/shared-socket.ts';
import { UdpSocket } from '../../net/udp-socket.ts';

/** A socket that stays open for as long as its holder wants it, whoever else uses it. */
export class HeldSocket {
  readonly socket: SharedSocket;
  readonly #share: SocketShare;
  #keeper: KeptMapping | undefined;
  #isOwn = false;

  constructor(socket: SharedSocket) {
    this.socket = socket;
    this.#share = socket.share();
  }

  /** Keeps its mapping alive, in place of what was kept before. @param isOwn whether it asks the server that vouches for us */
  keep(options: Omit<KeepMappingOptions, 'socket'>, isOwn: boolean): void {
    this.#keeper?.stop();
    this.#keeper = keepMapping({ ...options, socket: this.#share });
    this.#isOwn = isOwn;
  }

  /** Whether there is somebody to ask. */
  vouch(voucher: Buffer): boolean {
    if (!this.#isOwn) return false;
    this.#keeper?.vouch(voucher);
    return true;
  }

  /** Its mapping may be another one. */
  doubt(): void {
    this.#keeper?.doubt();
  }

  letGo(): void {
    this.#keeper?.stop();
    this.#share.close();
  }
}

/** A socket that can be shared, on a port that the system chooses. Rejects as `UdpSocket.open` does. */
export async function openShared(family: 4 | 6): Promise<SharedSocket> {
  return new SharedSocket(await UdpSocket.open({ family }));
}
