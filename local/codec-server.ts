/**
 * Temporal's remote codec: the UI sends it encrypted payloads and shows what it answers. Only for operators: a browser logs
 * in once and gets a session cookie, a program sends the operator key as a bearer token.
 *
 * The cookie is `SameSite=Strict`, so UI and codec server have to be opened under the same host name (ports may differ).
 * A UI that cannot be told to send cookies to another origin is shown through this server (`uiUpstream`).
 */
import cookie from '@fastify/cookie';
import cors from '@fastify/cors';
import rateLimit from '@fastify/rate-limit';
import { type Payload, type PayloadCodec } from '@temporalio/common';
import proto from '@temporalio/proto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { Type, type Static } from 'typebox';
import { Problem } from '../shared/errors.ts';
import { createApp } from '../shared/http/server.ts';
import type { Logger } from '../shared/logger.ts';
import { PayloadDecryptionError } from '../shared/temporal/codec.ts';
import { loginPage } from './codec-login-page.ts';
import { forwardToUi } from './codec-ui-front.ts';

export interface CodecServerOptions {
  codec: PayloadCodec;
  /** The namespace whose payloads these keys belong to; others are refused. */
  namespace: string;
  /** What an operator logs in with. */
  operatorKey: string;
  /** Signs the session cookies, together with the operator key: changing either ends all sessions. */
  sessionSecret: string;
  /** Where the operator's browser sees the Temporal UI: the only page that may call this server. */
  uiUrl: string | undefined;
  /** The Temporal UI itself, when it is shown through this server; `uiUrl` is then this server. */
  uiUpstream?: string | undefined;
  logger: Logger;
}

// A CommonJS module without static exports: only its default can be imported.
const { Payload: ProtoPayload } = proto.temporal.api.common.v1;

/** A page of the UI decodes a whole history: Temporal's own limit of a history is 50 MB, of a payload 2 MB. */
const BODY_LIMIT_BYTES = 16 * 1024 * 1024;
const SESSION_MS = 12 * 60 * 60 * 1000;
const SESSION_COOKIE = 'drone_delivery_codec';
const LOGINS_PER_MINUTE = 20;
const LOGIN_HINT = 'Open /login in this browser, or send the operator key as a bearer token.';

const PayloadSchema = Type.Object({
  metadata: Type.Optional(Type.Record(Type.String(), Type.String())),
  data: Type.Optional(Type.String()),
});
/** The protobuf JSON of `temporal.api.common.v1.Payloads`: bytes are base64. */
const PayloadsSchema = Type.Object({ payloads: Type.Optional(Type.Array(PayloadSchema)) });
type PayloadsJson = Static<typeof PayloadsSchema>;

const LoginQuery = Type.Object({ key: Type.Optional(Type.String({ maxLength: 512 })) });
const LoginForm = Type.Object({ key: Type.String({ maxLength: 512 }) });

export async function buildCodecServer(options: CodecServerOptions): Promise<FastifyInstance> {
  const app = await createApp({ name: 'codec', title: 'Codec server', logger: options.logger });
  const origin = options.uiUrl === undefined ? undefined : new URL(options.uiUrl).origin;
  await app.register(cookie, { secret: sessionSigningKey(options) });
  await app.register(rateLimit, {
    global: false,
    errorResponseBuilder: (_request, { ttl }) =>
      new Problem('too-many-requests', { retryAfterS: ttl / 1000 }),
  });
  // Scoped, so that the UI's own routes behind `uiUpstream` keep their own rules.
  await app.register(async (codecRoutes) => {
    await codecRoutes.register(cors, {
      origin: origin ?? false,
      credentials: true,
      methods: ['POST'],
      allowedHeaders: ['content-type', 'x-namespace', 'authorization'],
      maxAge: 600,
    });
    registerCodec(codecRoutes, options);
  });
  await app.register(async (loginRoutes) => registerLogin(loginRoutes, options));
  if (options.uiUpstream !== undefined) {
    const upstream = options.uiUpstream;
    await app.register(async (uiRoutes) => {
      // The payloads would be unreadable anyway: better to ask for the login at once.
      uiRoutes.addHook('onRequest', async (request, reply) => {
        if (isOperator(request, options.operatorKey)) return;
        if (request.headers.accept?.includes('text/html')) return reply.redirect('/login');
        throw new Problem('unauthorized', { detail: LOGIN_HINT });
      });
      forwardToUi(uiRoutes, upstream);
    });
  }
  return app;
}

function registerCodec(app: FastifyInstance, { codec, namespace, operatorKey }: CodecServerOptions): void {
  app.addHook('onRequest', async (request) => {
    if (request.method !== 'OPTIONS' && !isOperator(request, operatorKey)) {
      throw new Problem('unauthorized', { detail: LOGIN_HINT });
    }
  });
  const convert = async (request: FastifyRequest<{ Body: PayloadsJson }>, use: 'encode' | 'decode') => {
    const asked = request.headers['x-namespace'];
    if (asked !== undefined && asked !== namespace) {
      throw new Problem('forbidden', { detail: `These are the keys of namespace "${namespace}" only.` });
    }
    const payloads = (request.body.payloads ?? []).map(fromJson);
    try {
      return { payloads: (await codec[use](payloads)).map(toJson) };
    } catch (error) {
      if (error instanceof PayloadDecryptionError)
        throw new Problem('unserviceable', { detail: error.message });
      throw error;
    }
  };
  for (const use of ['encode', 'decode'] as const) {
    app.post<{ Body: PayloadsJson }>(
      `/${use}`,
      {
        bodyLimit: BODY_LIMIT_BYTES,
        schema: { summary: `${use} payloads`, body: PayloadsSchema, response: { 200: PayloadsSchema } },
      },
      async (request) => convert(request, use),
    );
  }
}

function registerLogin(app: FastifyInstance, { operatorKey, uiUrl, namespace }: CodecServerOptions): void {
  const workflowsUrl = uiUrl === undefined ? undefined : `${uiUrl}/namespaces/${namespace}/workflows`;
  const limited = { config: { rateLimit: { max: LOGINS_PER_MINUTE, timeWindow: 60_000 } } };
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => {
      done(null, Object.fromEntries(new URLSearchParams(String(body))));
    },
  );
  const answer = (reply: FastifyReply, key: string | undefined) => {
    if (key === undefined) return sendPage(reply, 200, loginPage('ask', workflowsUrl), uiUrl);
    if (!isSame(key, operatorKey)) return sendPage(reply, 401, loginPage('wrong key', workflowsUrl), uiUrl);
    reply.setCookie(SESSION_COOKIE, String(Date.now() + SESSION_MS), {
      signed: true,
      httpOnly: true,
      sameSite: 'strict',
      path: '/',
      maxAge: SESSION_MS / 1000,
    });
    return sendPage(reply, 200, loginPage('logged in', workflowsUrl), uiUrl);
  };
  app.get<{ Querystring: Static<typeof LoginQuery> }>(
    '/login',
    { ...limited, schema: { hide: true, querystring: LoginQuery } },
    (request, reply) => answer(reply, request.query.key),
  );
  app.post<{ Body: Static<typeof LoginForm> }>(
    '/login',
    { ...limited, schema: { hide: true, body: LoginForm } },
    (request, reply) => answer(reply, request.body.key),
  );
  app.post('/logout', { schema: { hide: true } }, async (_request, reply) => {
    reply.clearCookie(SESSION_COOKIE, { path: '/' });
    return sendPage(reply, 200, loginPage('ask', workflowsUrl), uiUrl);
  });
}

function isOperator(request: FastifyRequest, operatorKey: string): boolean {
  const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (bearer !== undefined) return isSame(bearer, operatorKey);
  const session = request.cookies[SESSION_COOKIE];
  if (session === undefined) return false;
  const { valid, value } = request.unsignCookie(session);
  return valid && Number(value) > Date.now();
}

function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

function sessionSigningKey({ sessionSecret, operatorKey }: CodecServerOptions): string {
  return createHmac('sha256', sessionSecret).update(operatorKey).digest('base64url');
}

function sendPage(
  reply: FastifyReply,
  status: number,
  html: string,
  uiUrl: string | undefined,
): FastifyReply {
  return reply
    .code(status)
    .type('text/html; charset=utf-8')
    .headers({
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'content-security-policy': `default-src 'none'; style-src 'unsafe-inline'; form-action 'self' ${uiUrl ?? ''}; frame-ancestors 'none'; base-uri 'none'`,
    })
    .send(html);
}

function fromJson(json: Static<typeof PayloadSchema>): Payload {
  return ProtoPayload.fromObject(json);
}

function toJson(payload: Payload): Static<typeof PayloadSchema> {
  const message = ProtoPayload.fromObject(payload);
  return ProtoPayload.toObject(message, { bytes: String });
}
