import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../e2e/traffic.ts';
import { LinkProxy } from './proxy.ts';

let echo: Server;
let proxy: LinkProxy;
const clients: Socket[] = [];

beforeEach(async () => {
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  proxy = await LinkProxy.open('me>echo', {
    host: '127.0.0.1',
    port: (echo.address() as AddressInfo).port,
  });
});

afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await proxy.close();
  echo.close();
});

function connecting(to: LinkProxy): Socket {
  const [host, port] = to.address.split(':');
  const socket = connect(Number(port), host);
  clients.push(socket);
  return socket;
}

async function client(to = proxy): Promise<Socket> {
  const socket = connecting(to);
  await once(socket, 'connect');
  return socket;
}

async function isAnswered(socket: Socket, message: string): Promise<void> {
  socket.write(message);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toBe(message);
}

/** How a connection ended: the code of its error, or `closed`. */
async function endOf(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.once('close', () => resolve('closed'));
  });
}

test('It carries bytes both ways, also many, and the end of one side after the last of them', async () => {
  const socket = await client();
  await isAnswered(socket, 'hello');
  const much = 'x'.repeat(5_000_000);
  socket.end(much);
  expect(await text(socket)).toBe(much);
});

test('When it is cut, connections are reset at once and new ones are let through', async () => {
  const socket = await client();
  await isAnswered(socket, 'before');
  const end = endOf(socket);
  proxy.cut({ refuse: false });
  expect(await end).toBe('ECONNRESET');
  await isAnswered(await client(), 'after');
});

test('When it refuses, no new connection lives until it is mended', async () => {
  proxy.cut({ refuse: true });
  expect(await endOf(connecting(proxy))).toMatch(/ECONNRESET|closed/);
  proxy.mend();
  await isAnswered(await client(), 'mended');
});

test('When it is stalled, nothing goes through and nothing is lost: it arrives once it is mended', async () => {
  const socket = await client();
  await isAnswered(socket, 'before');
  proxy.stall();
  const heard: string[] = [];
  socket.on('data', (bytes: Buffer) => heard.push(bytes.toString()));
  socket.write('late');
  const early = await client();
  early.on('data', (bytes: Buffer) => heard.push(bytes.toString()));
  early.write('later');
  // Another link goes on meanwhile: what was sent had the time to come back.
  const other = await LinkProxy.open('other', {
    host: '127.0.0.1',
    port: (echo.address() as AddressInfo).port,
  });
  const through = await client(other);
  for (const message of ['one', 'two', 'three']) await isAnswered(through, message);
  expect(heard).toEqual([]);
  proxy.mend();
  await until('all has come back', 5_000, async () =>
    heard.toSorted().join() === 'late,later' ? undefined : heard.join(),
  );
  await other.close();
});

test('When the server behind it is gone, a client is told', async () => {
  const gone = await LinkProxy.open('me>nobody', { host: '127.0.0.1', port: 1 });
  expect(await endOf(connecting(gone))).toBe('ECONNRESET');
  await gone.close();
});
