import Fastify, { type FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { createLogger } from '../shared/logger.ts';
import { EncryptionCodec, generatePayloadKey, parsePayloadKeys } from '../shared/temporal/codec.ts';
import { buildCodecServer, type CodecServerOptions } from './codec-server.ts';

const OPERATOR_KEY = 'dd_operator_0123456789abcdef';
const UI_URL = 'http://127.0.0.1:8233';
const codec = new EncryptionCodec(parsePayloadKeys(generatePayloadKey('k1')));
const options: CodecServerOptions = {
  codec,
  namespace: 'drone-delivery',
  operatorKey: OPERATOR_KEY,
  sessionSecret: 'a secret that signs the sessions',
  uiUrl: UI_URL,
  logger: createLogger({ role: 'codec', level: 'silent' }),
};
const bearer = { authorization: `Bearer ${OPERATOR_KEY}` };
const plain = { metadata: { encoding: 'anNvbi9wbGFpbg==' }, data: 'IkFkYSI=' };

let app: FastifyInstance;
beforeAll(async () => {
  app = await buildCodecServer(options);
});
afterAll(() => app.close());
afterEach(() => void vi.useRealTimers());

async function decode(headers: Record<string, string>, payloads: object[] = [plain], to = app) {
  return to.inject({
    method: 'POST',
    url: '/decode?preserveStorageRefs=true',
    headers,
    payload: { payloads },
  });
}

/** The session cookie that a login with the operator key sets. */
async function logIn(to = app) {
  const answer = await to.inject({ method: 'GET', url: '/login', query: { key: OPERATOR_KEY } });
  const [cookie] = answer.cookies;
  return { answer, header: `${cookie?.name ?? ''}=${encodeURIComponent(cookie?.value ?? '')}`, cookie };
}

describe('the remote codec protocol', () => {
  it('When payloads are encoded and decoded, then they come back as they were', async () => {
    const encoded = await app.inject({
      method: 'POST',
      url: '/encode',
      headers: { ...bearer, 'x-namespace': 'drone-delivery' },
      payload: { payloads: [plain, { data: '' }] },
    });
    expect(encoded.statusCode).toBe(200);
    expect(encoded.body).not.toContain(plain.data);
    const { payloads } = encoded.json<{ payloads: object[] }>();
    const decoded = await decode(bearer, payloads);
    expect(decoded.json<{ payloads: object[] }>().payloads[0]).toEqual(plain);
  });

  it('When a payload is not encrypted, then it passes', async () => {
    expect((await decode(bearer)).json()).toEqual({ payloads: [plain] });
  });

  it('When the key of a payload is unknown, then 422 says which', async () => {
    const other = new EncryptionCodec(parsePayloadKeys(generatePayloadKey('lost')));
    const [payload] = await other.encode([{ data: Buffer.from('x') }]);
    const json = {
      metadata: Object.fromEntries(
        Object.entries(payload!.metadata!).map(([name, value]) => [
          name,
          Buffer.from(value).toString('base64'),
        ]),
      ),
      data: Buffer.from(payload!.data!).toString('base64'),
    };
    const answer = await decode(bearer, [json]);
    expect(answer.statusCode).toBe(422);
    expect(answer.json()).toMatchObject({ detail: expect.stringContaining('key "lost"') as string });
  });

  it('When another namespace asks, then 403', async () => {
    expect((await decode({ ...bearer, 'x-namespace': 'billing' })).statusCode).toBe(403);
  });

  it.each([
    ['no payload list', { payloads: 'x' }],
    ['bytes that are a number', { payloads: [{ data: 1 }] }],
  ])('When the body has %s, then 400', async (_what, payload) => {
    const answer = await app.inject({ method: 'POST', url: '/decode', headers: bearer, payload });
    expect(answer.statusCode).toBe(400);
  });

  it('When the body is beyond the limit, then it is refused unread', async () => {
    const answer = await decode(bearer, [{ data: 'A'.repeat(17 * 1024 * 1024) }]);
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ reason: 'body_too_large' });
  });
});

describe('authentication', () => {
  it.each([
    ['nothing', {}],
    ['a wrong bearer token', { authorization: 'Bearer dd_operator_wrong' }],
    ['a made-up cookie', { cookie: `drone_delivery_codec=${Date.now() + 60_000}` }],
    [
      'a cookie with a made-up signature',
      { cookie: `drone_delivery_codec=${Date.now() + 60_000}.c2lnbmF0dXJl` },
    ],
  ])('When the caller sends %s, then 401 for both operations', async (_what, headers) => {
    for (const url of ['/encode', '/decode']) {
      const answer = await app.inject({ method: 'POST', url, headers, payload: { payloads: [plain] } });
      expect(answer.statusCode).toBe(401);
      expect(answer.json()).toMatchObject({ status: 401 });
    }
  });

  it('When an operator logs in, then the browser gets a cookie that scripts cannot read and that decodes', async () => {
    const { answer, header, cookie } = await logIn();
    expect(answer.statusCode).toBe(200);
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: 'Strict', path: '/', maxAge: 12 * 60 * 60 });
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' });
    expect(answer.body).toContain(`${UI_URL}/namespaces/drone-delivery/workflows`);
    expect((await decode({ cookie: header })).statusCode).toBe(200);
  });

  it('When the key is typed into the form, then that logs in as well', async () => {
    expect((await app.inject('/login')).body).toContain('<form method="post" action="/login">');
    const answer = await app.inject({
      method: 'POST',
      url: '/login',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: `key=${encodeURIComponent(OPERATOR_KEY)}`,
    });
    expect(answer.statusCode).toBe(200);
    expect(answer.cookies).toHaveLength(1);
  });

  it('When the key is wrong, then 401 and no cookie', async () => {
    const answer = await app.inject({ method: 'GET', url: '/login', query: { key: 'dd_operator_wrong' } });
    expect(answer.statusCode).toBe(401);
    expect(answer.cookies).toEqual([]);
  });

  it('When the session is twelve hours old, then 401', async () => {
    const { header } = await logIn();
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 12 * 60 * 60 * 1000 + 1 });
    expect((await decode({ cookie: header })).statusCode).toBe(401);
  });

  it('When the operator key was changed, then the old sessions end', async () => {
    const { header } = await logIn();
    const changed = await buildCodecServer({ ...options, operatorKey: 'dd_operator_new_0123456789' });
    expect((await decode({ cookie: header }, [plain], changed)).statusCode).toBe(401);
    await changed.close();
  });

  it('When keys are guessed, then the server slows the guesser down', async () => {
    const guessed = await buildCodecServer(options);
    const codes: number[] = [];
    for (let guess = 0; guess < 25; guess++) {
      codes.push((await guessed.inject({ url: '/login', query: { key: `guess${guess}` } })).statusCode);
    }
    expect(codes.slice(0, 20)).toEqual(Array(20).fill(401));
    expect(codes.slice(20)).toEqual(Array(5).fill(429));
    await guessed.close();
  });
});

describe('CORS', () => {
  const preflight = (origin: string) =>
    app.inject({
      method: 'OPTIONS',
      url: '/decode?preserveStorageRefs=true',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,x-namespace',
      },
    });

  it('When the UI asks before it sends, then it may, with its cookie', async () => {
    expect((await preflight(UI_URL)).headers).toMatchObject({
      'access-control-allow-origin': UI_URL,
      'access-control-allow-credentials': 'true',
      'access-control-allow-headers': 'content-type, x-namespace, authorization',
    });
  });

  it.each(['http://evil.example', 'http://localhost:8233', 'null'])(
    'When %s asks, then it may not',
    async (origin) => {
      expect((await preflight(origin)).headers['access-control-allow-origin']).not.toBe(origin);
    },
  );

  it('When the session is missing, then the UI can still read why', async () => {
    const answer = await decode({ origin: UI_URL });
    expect(answer.statusCode).toBe(401);
    expect(answer.headers['access-control-allow-origin']).toBe(UI_URL);
  });
});

describe('health', () => {
  it.each(['/health/live', '/health/ready'])('%s answers without a login', async (url) => {
    expect((await app.inject(url)).statusCode).toBe(200);
  });
});

describe('a UI shown through the codec server', () => {
  const ui = Fastify();
  let front: FastifyInstance;
  let uiUpstream: string;
  beforeAll(async () => {
    ui.get('/namespaces/*', async (_request, reply) => reply.type('text/html').send('<p>UI</p>'));
    ui.post('/api/v1/echo', async (request, reply) =>
      reply.header('set-cookie', ['a=1', 'b=2']).send({ body: request.body, origin: request.headers.origin }),
    );
    uiUpstream = await ui.listen({ host: '127.0.0.1', port: 0 });
    front = await buildCodecServer({ ...options, uiUrl: 'http://127.0.0.1:4200', uiUpstream });
  });
  afterAll(async () => {
    await front.close();
    await ui.close();
  });

  it('When the browser has no session, then it is sent to the login', async () => {
    const answer = await front.inject({ url: '/namespaces/x', headers: { accept: 'text/html' } });
    expect(answer.statusCode).toBe(302);
    expect(answer.headers.location).toBe('/login');
    expect((await front.inject('/api/v1/settings')).statusCode).toBe(401);
  });

  it('When the operator is logged in, then pages, calls and cookies pass', async () => {
    const { header } = await logIn(front);
    expect((await front.inject({ url: '/namespaces/x', headers: { cookie: header } })).body).toBe(
      '<p>UI</p>',
    );
    const answer = await front.inject({
      method: 'POST',
      url: '/api/v1/echo',
      headers: { cookie: header, origin: 'http://127.0.0.1:4200' },
      payload: { reason: 'lost' },
    });
    expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
    expect(answer.json()).toEqual({
      body: { reason: 'lost' },
      origin: uiUpstream,
    });
    expect((await decode({ cookie: header }, [plain], front)).statusCode).toBe(200);
  });

  it('When the UI is down, then 503', async () => {
    const alone = await buildCodecServer({ ...options, uiUpstream: 'http://127.0.0.1:9' });
    expect((await alone.inject({ url: '/', headers: bearer })).statusCode).toBe(503);
    await alone.close();
  });
});
