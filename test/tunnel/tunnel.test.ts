import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { UnderpassError } from '../../src/errors.ts';
import type { TunnelEvent } from '../../src/tunnel/events.ts';
import { BaseTunnel } from '../../src/tunnel/tunnel.ts';

class TestTunnel extends BaseTunnel {
  released = 0;

  fail(error: UnderpassError): Promise<void> {
    return this.end(error);
  }

  say(event: TunnelEvent): void {
    this.emit(event);
  }

  protected farewell(): TunnelEvent {
    return { event: 'closed', name: 'game' };
  }

  protected async release(): Promise<void> {
    this.released += 1;
  }
}

describe('a tunnel', () => {
  it('ends once, also when its listener closes it as it hears of the failure', async () => {
    const heard: string[] = [];
    const tunnel = new TestTunnel((event) => {
      heard.push(event.event);
      void tunnel.close();
    });
    const error = new UnderpassError('replaced', { name: 'game' });
    await tunnel.fail(error);
    expect(await tunnel.closed).toBe(error);
    expect(heard).toEqual(['error', 'closed']);
    expect(tunnel.released).toBe(1);
    tunnel.say({ event: 'waiting', target: 'game' });
    expect(heard).toHaveLength(2);
  });

  it('goes on when its listener throws, and the listener hears of it as an uncaught exception', async () => {
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    try {
      const uncaught = once(process, 'uncaughtException');
      const tunnel = new TestTunnel(({ event }) => {
        if (event === 'waiting') throw new Error('a mistake of the listener');
      });
      tunnel.say({ event: 'waiting', target: 'game' });
      await tunnel.close();
      expect(tunnel.released).toBe(1);
      expect(String(await uncaught)).toContain('a mistake of the listener');
    } finally {
      for (const listener of listeners) process.on('uncaughtException', listener);
    }
  });
});
