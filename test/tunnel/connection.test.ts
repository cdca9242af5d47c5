import { expect, test, vi } from 'vitest';
import { silentLogger } from '../../src/log.ts';
import { Connection } from '../../src/tunnel/connection.ts';
import { Store } from '../../src/tunnel/store.ts';
import type { Tenant } from '../../src/tunnel/tenant.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { VirtualRuntime } from '../support/virtual-runtime.ts';

const tenant = (): Tenant => ({
  ...{ publishes: undefined, mayGoDirect: false },
  ...{ onOnline() {}, onOffline() {}, onFatal() {}, onOffer() {}, onReplaced() {}, onNat() {} },
});

test('the way to the server is doubted once for each tunnel whose connections begin to wait', async () => {
  const store = new Store(temporaryFolder());
  const connection = new Connection({ server: 'localhost:1' }, new VirtualRuntime(), silentLogger, store);
  const check = vi.spyOn(connection.relay, 'check');
  const [one, other] = [tenant(), tenant()];
  for (const each of [one, one, other]) connection.hurry(each, true);
  expect(check).toHaveBeenCalledTimes(2);
  connection.hurry(one, false);
  connection.hurry(one, true);
  expect(check).toHaveBeenCalledTimes(3);
  await connection.close();
});
