import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { askForRefusal } from '../../src/net/refusal.ts';

const QUESTION = Buffer.from('is anybody there?');

async function bound() {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { socket, to: { address: '127.0.0.1', port: socket.address().port } };
}

test('a port that nobody listens at is refused, at once', async () => {
  const { socket, to } = await bound();
  socket.close();
  const startedAt = performance.now();
  expect(await (await askForRefusal(to, QUESTION)).refused).toBe(true);
  expect(performance.now() - startedAt).toBeLessThan(500);
});

test('an answer is no refusal', async () => {
  const { socket, to } = await bound();
  socket.on('message', (bytes, from) => {
    expect(bytes).toEqual(QUESTION);
    socket.send('yes', from.port, from.address);
  });
  expect(await (await askForRefusal(to, QUESTION)).refused).toBe(false);
  socket.close();
});

test('silence is none, and can be cut short', async () => {
  const { socket, to } = await bound();
  const ending = new AbortController();
  const { refused } = await askForRefusal(to, QUESTION, ending.signal);
  ending.abort();
  expect(await refused).toBe(false);
  expect(await (await askForRefusal(to, QUESTION, ending.signal)).refused).toBe(false);
  socket.close();
});

test('an address that no machine has is no refusal, and no reason to fail', async () => {
  const { refused } = await askForRefusal({ address: '255.255.255.255', port: 9 }, QUESTION);
  expect(await refused).toBe(false);
});
