import { describe, expect, it } from 'vitest';
import type { Connection } from '../../../src/tunnel/connection.ts';
import { EarlyListener } from '../../../src/tunnel/link/early-listener.ts';
import type { LinkListener } from '../../../src/tunnel/link/link-listener.ts';

function listening() {
  const listeners = new Map<string, LinkListener>();
  const connection = {
    listen: (link: string, listener: LinkListener) => listeners.set(link, listener),
    unlisten: (link: string) => listeners.delete(link),
  };
  const early = new EarlyListener(connection as unknown as Connection, 'a link');
  const heard: string[] = [];
  const listener = {
    onPeerMessage: () => heard.push('message'),
    onPunchStep: () => heard.push('step'),
    onPunchGo: (step: number) => heard.push(`go ${step}`),
    onPunchRelay: (search: number, reason: string) => heard.push(`relay ${search} ${reason}`),
    onStandpoint: () => heard.push('standpoint'),
    onOnline: () => heard.push('online'),
  };
  return { listeners, early, heard, listener };
}

describe('what the server says before two peers have met', () => {
  it('is heard when they have, in its order; and from then on at once', () => {
    const { listeners, early, heard, listener } = listening();
    expect(listeners.get('a link')).toBe(early);
    early.onPunchGo(1);
    early.onPunchRelay(2, 'busy');
    early.onOnline();
    early.handTo(listener);
    expect(heard).toEqual(['go 1', 'relay 2 busy']);
    expect(listeners.get('a link')).toBe(listener);
  });

  it('is kept within bounds', () => {
    const { early, heard, listener } = listening();
    for (let i = 0; i < 100; i++) early.onPunchGo(i);
    early.handTo(listener);
    expect([heard.length, heard.at(-1)]).toEqual([32, 'go 31']);
  });

  it('is nothing where they do not', () => {
    const { listeners, early } = listening();
    early.close();
    expect(listeners.size).toBe(0);
  });
});
