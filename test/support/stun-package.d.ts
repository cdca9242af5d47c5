/** What we use of the `stun` package, an implementation that is not ours: see docs/dependencies.md. */
declare module 'stun' {
  import type { Socket } from 'node:dgram';
  import type { EventEmitter } from 'node:events';

  interface Address {
    readonly address: string;
    readonly port: number;
  }

  interface StunMessage {
    readonly type: number;
    readonly transactionId: Buffer;
    getXorAddress(): Address | undefined;
    addXorAddress(address: string, port: number): void;
    addFingerprint(): void;
    addSoftware(text: string): void;
    getSoftware(): string | undefined;
    toBuffer(): Buffer;
  }

  interface StunServer extends EventEmitter {
    send(message: StunMessage, port: number, address: string): void;
    close(): void;
  }

  interface Api {
    readonly constants: Readonly<Record<string, number>>;
    request(url: string, options: object): Promise<StunMessage>;
    createServer(options: { type: 'udp4' | 'udp6' } | { socket: Socket }): StunServer & {
      listen(port: number, address: string, callback: () => void): void;
    };
    createMessage(type: number, transactionId?: Buffer): StunMessage;
    decode(bytes: Buffer): StunMessage;
    encode(message: StunMessage): Buffer;
    validateFingerprint(message: StunMessage): boolean;
  }

  const stun: Api;
  export default stun;
}
