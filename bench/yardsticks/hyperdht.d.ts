// What the bench uses of them; they have no types of their own.

declare module 'hyperdht' {
  import type { Duplex } from 'node:stream';

  export interface Address {
    readonly host: string;
    readonly port: number;
  }

  export default class DHT {
    constructor(options: { bootstrap: readonly Address[]; host: string; firewalled: boolean });
    static keyPair(): { readonly publicKey: Buffer };
    createServer(onConnection: (socket: Duplex) => void): {
      listen(keyPair: { readonly publicKey: Buffer }): Promise<void>;
    };
    connect(publicKey: Buffer): Duplex;
  }
}

declare module 'hyperdht/testnet.js' {
  import type { Address } from 'hyperdht';

  export default function createTestnet(size: number): Promise<{ readonly bootstrap: readonly Address[] }>;
}
