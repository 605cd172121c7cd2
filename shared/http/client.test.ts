import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Type } from 'typebox';
import { afterEach, expect, test } from 'vitest';
import { type Client, type ClientOptions, createClient } from './client.ts';
import { defineContract } from './contract.ts';

const contract = defineContract({
  read: {
    method: 'GET',
    path: '/things/:thing_id',
    summary: 'Reads a thing',
    params: Type.Object({ thing_id: Type.String() }),
    query: Type.Object({ tag: Type.Optional(Type.String()) }),
    response: Type.Object({ url: Type.String() }),
  },
});

let server: Server | undefined;
let client: Client<typeof contract> | undefined;
afterEach(async () => {
  await client?.close();
  server?.closeAllConnections();
  server?.close();
});

async function serve(answer: RequestListener, options: Partial<ClientOptions> = {}): Promise<number> {
  server = createServer(answer).listen(0, '127.0.0.1');
  await new Promise((resolve) => server!.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  client = createClient(contract, { baseUrl: `http://127.0.0.1:${port}`, ...options });
  return port;
}

const read = (signal?: AbortSignal) =>
  client!.read({ params: { thing_id: 'a/b' }, query: { tag: 'x y' } }, signal ? { signal } : {});

test('Parameters are put into the path as one segment, and query values are escaped', async () => {
  await serve((request, response) => response.end(JSON.stringify({ url: request.url })));
  expect(await read()).toEqual({ url: '/things/a%2Fb?tag=x%20y' });
});

test('When nobody answers in time, then it is a timeout that may be tried again', async () => {
  await serve(() => undefined, { timeoutMs: 50 });
  await expect(read()).rejects.toMatchObject({
    slug: 'timeout',
    detail: expect.stringMatching(/did not answer within 50 ms/) as string,
  });
});

test('When the answer begins and does not end in time, then it is a timeout too', async () => {
  await serve((_request, response) => void response.write('{"url":'), { timeoutMs: 50 });
  await expect(read()).rejects.toMatchObject({ slug: 'timeout' });
});

test('When the service cannot be reached, then it is unavailable, and the cause is told', async () => {
  await serve(() => undefined);
  server!.close();
  await expect(read()).rejects.toMatchObject({
    slug: 'unavailable',
    detail: expect.stringMatching(/ECONNREFUSED/) as string,
  });
});

test('When the caller gives up, then its own error comes back', async () => {
  const giveUp = new AbortController();
  await serve(() => giveUp.abort(new Error('no longer wanted')));
  await expect(read(giveUp.signal)).rejects.toThrow('no longer wanted');
});

test('A problem comes back as the service told it; a page of a proxy becomes one with its status', async () => {
  const problem = {
    type: 'https://drone-delivery.dev/problems/conflict',
    status: 409,
    title: 'No',
    reason: 'why',
  };
  await serve((_request, response) => response.writeHead(409).end(JSON.stringify(problem)));
  await expect(read()).rejects.toMatchObject({ slug: 'conflict', reason: 'why', status: 409 });
  server!.closeAllConnections();
  server!.close();
  await client!.close();
  await serve((_request, response) => response.writeHead(502).end('<html>Bad gateway</html>'));
  await expect(read()).rejects.toMatchObject({ status: 502 });
});

test('An answered call leaves no timer behind', async () => {
  await serve((request, response) => response.end(JSON.stringify({ url: request.url })));
  const timers = () => process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length;
  await read();
  const before = timers();
  for (let n = 0; n < 20; n += 1) await read();
  expect(timers()).toBeLessThanOrEqual(before + 1);
});
