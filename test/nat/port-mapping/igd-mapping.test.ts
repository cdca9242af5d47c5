import { describe, expect, it } from 'vitest';
import type { IgdAction, IgdAnswer, IgdService } from '../../../src/nat/port-mapping/igd.ts';
import { IgdMapping } from '../../../src/nat/port-mapping/igd-mapping.ts';

const signal = new AbortController().signal;
const service = (path: string): IgdService => ({
  type: 'urn:schemas-upnp-org:service:WANIPConnection:1',
  control: new URL(`http://192.168.1.1/${path}`),
});
const one = [service('one')];

/** A mapping of port 41234, in a router that answers from a script; `calls` are `Name port lease`. */
function scripted(answer: (call: string, service: IgdService) => IgdAnswer | undefined) {
  const calls: string[] = [];
  let next = 2000;
  const options = { localAddress: '192.168.1.20', localPort: 41234, randomPort: () => next++ };
  const mapping = new IgdMapping(options, async (service: IgdService, action: IgdAction) => {
    const values = new Map(action.arguments);
    const call = [action.name, values.get('NewExternalPort'), values.get('NewLeaseDuration')];
    const text = call.filter((part) => part !== undefined).join(' ');
    calls.push(text);
    const answered = answer(text, service);
    if (!answered) throw new Error('silent');
    return answered;
  });
  return { mapping, calls };
}

const address: IgdAnswer = { ok: true, external: '45.80.1.7' };
const done: IgdAnswer = { ok: true, external: undefined };
const fault = (code: number): IgdAnswer => ({ ok: false, code });
const asksAddress = (call: string) => call === 'GetExternalIPAddress';

describe('a mapping by UPnP', () => {
  it('is made, renewed and deleted', async () => {
    const { mapping, calls } = scripted((call) => (asksAddress(call) ? address : done));
    const made = { ok: true, external: { address: '45.80.1.7', port: 41234 }, lifetime: 7200 };
    expect(await mapping.map(one, signal)).toEqual(made);
    expect(await mapping.map(one, signal)).toEqual(made);
    await mapping.release(signal);
    await mapping.release(signal);
    const round = ['GetExternalIPAddress', 'AddPortMapping 41234 7200'];
    expect(calls).toEqual([...round, ...round, 'DeletePortMapping 41234']);
  });

  it('lasts for ever where the router knows nothing else (725)', async () => {
    const { mapping, calls } = scripted((call) =>
      asksAddress(call) ? address : call.endsWith(' 7200') ? fault(725) : done,
    );
    expect(await mapping.map(one, signal)).toMatchObject({ ok: true, lifetime: 0 });
    expect(calls.at(-1)).toBe('AddPortMapping 41234 0');
  });

  it('takes another port when that one is taken (718), keeps it, and leaves the other alone', async () => {
    const { mapping, calls } = scripted((call) =>
      asksAddress(call) ? address : /41234|2000/.test(call) ? fault(718) : done,
    );
    expect(await mapping.map(one, signal)).toMatchObject({ external: { port: 2001 } });
    expect(await mapping.map(one, signal)).toMatchObject({ external: { port: 2001 } });
    await mapping.release(signal);
    expect(calls.filter((call) => call.startsWith('Delete'))).toEqual(['DeletePortMapping 2001']);
  });

  it('is given up after three other ports, and after any other fault', async () => {
    for (const [code, tries, reason] of [
      [718, 4, 'no-resources'],
      [725, 2, 'other'],
      [606, 1, 'not-authorised'],
      [501, 1, 'other'],
      [0, 1, 'other'],
    ] as const) {
      const { mapping, calls } = scripted((call) => (asksAddress(call) ? address : fault(code)));
      expect(await mapping.map(one, signal)).toEqual({
        ok: false,
        refusal: { protocol: 'upnp', reason, code },
      });
      expect(calls).toHaveLength(1 + tries);
      await mapping.release(signal);
      expect(calls).toHaveLength(1 + tries);
    }
  });

  it('is asked of the connection that has an address', async () => {
    const { mapping } = scripted((call, { control }) =>
      control.pathname === '/one' ? fault(501) : asksAddress(call) ? address : done,
    );
    expect(await mapping.map([service('one'), service('two')], signal)).toMatchObject({ ok: true });
    const { mapping: none } = scripted((_, { control }) => (control.pathname === '/one' ? fault(501) : done));
    expect(await none.map([service('one'), service('two')], signal)).toEqual({
      ok: false,
      refusal: { protocol: 'upnp', reason: 'no-external-address', code: 501 },
    });
  });

  it.each([
    [501, 'no-external-address'],
    [606, 'not-authorised'],
    [401, 'other'],
    [0, 'other'],
  ] as const)('is not to be had where the address is answered with %i: %s', async (code, reason) => {
    const { mapping, calls } = scripted(() => fault(code));
    const refusal = { protocol: 'upnp', reason, code };
    expect(await mapping.map(one, signal)).toEqual({ ok: false, refusal });
    expect(calls).toEqual(['GetExternalIPAddress']);
  });

  it('fails for want of an address only if no connection can have one', async () => {
    for (const answers of [
      [fault(501), fault(606)],
      [fault(606), fault(501)],
      [fault(606), done],
    ]) {
      const { mapping } = scripted((_, { control }) => answers[control.pathname === '/one' ? 0 : 1]);
      expect(await mapping.map([service('one'), service('two')], signal)).toEqual({
        ok: false,
        refusal: { protocol: 'upnp', reason: 'not-authorised', code: 606 },
      });
    }
  });

  it('is asked for no more once it is aborted', async () => {
    const abort = new AbortController();
    const { mapping, calls } = scripted((call) => {
      if (asksAddress(call)) return address;
      abort.abort();
      return fault(718);
    });
    await expect(mapping.map(one, abort.signal)).rejects.toThrow('aborted');
    await mapping.release(signal);
    expect(calls).toEqual(['GetExternalIPAddress', 'AddPortMapping 41234 7200']);
  });

  it('is deleted until the router has confirmed that', async () => {
    let busy = true;
    const { mapping, calls } = scripted((call) =>
      asksAddress(call) ? address : call.startsWith('Delete') && busy ? fault(714) : done,
    );
    await mapping.map(one, signal);
    expect(await mapping.release(signal)).toBe(false);
    busy = false;
    expect(await mapping.release(signal)).toBe(true);
    expect(await mapping.release(signal)).toBe(true);
    expect(calls.filter((call) => call.startsWith('Delete'))).toHaveLength(2);
  });

  it('is deleted even if the router never confirmed it', async () => {
    const { mapping, calls } = scripted((call) => (asksAddress(call) ? address : undefined));
    await expect(mapping.map(one, signal)).rejects.toThrow('silent');
    await expect(mapping.release(signal)).rejects.toThrow('silent');
    expect(calls.at(-1)).toBe('DeletePortMapping 41234');
  });
});
