/**
 * The Fastify app every HTTP role is made of: validation, problem+json, request ids and trace context, health, metrics,
 * OpenAPI. A role adds its routes, usually with `implement(app, contract, handlers)`.
 */
import swagger from '@fastify/swagger';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import { type FieldError, messageOf, Problem } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { ProblemSchema } from '../schemas.ts';
import { continueTrace, requestContext } from './context.ts';
import type { Contract, Input, OperationSpec, Output } from './contract.ts';
import { compileValidator, fieldErrors } from './validation.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** Adds a check that `/health/ready` awaits; it throws to say "not ready". */
    addReadinessCheck(name: string, check: () => Promise<unknown>): void;
    metrics: Registry;
  }
}

export interface AppOptions {
  name: string;
  title?: string;
  description?: string;
  version?: string;
  logger: Logger;
  /** Bytes; 1 MiB unless told. */
  bodyLimit?: number;
  /** Turns an error the app does not know (a database's) into a problem, or passes. */
  mapError?: (error: unknown) => Problem | undefined;
  /** Extra OpenAPI parts (security schemes, tags). */
  openapi?: Record<string, unknown>;
  /** Last changes to the generated OpenAPI document. */
  transformOpenapi?: (document: Record<string, unknown>) => Record<string, unknown>;
  /** Whose `X-Forwarded-For` is believed; nobody's unless told. */
  trustProxy?: boolean | string;
}

const READINESS_TIMEOUT_MS = 2_000;

export async function createApp(options: AppOptions): Promise<FastifyInstance> {
  const loggerInstance: FastifyBaseLogger = options.logger;
  const app: FastifyInstance = Fastify({
    loggerInstance,
    // Requests are counted and timed in the metrics; a line for each would cost more than it tells.
    logController: new LogController({ disableRequestLogging: true }),
    requestIdHeader: 'x-request-id',
    genReqId: () => crypto.randomUUID(),
    bodyLimit: options.bodyLimit ?? 1024 * 1024,
    trustProxy: options.trustProxy ?? false,
    // Explicit, because a slow client must not hold a socket for ever.
    connectionTimeout: 0,
    requestTimeout: 30_000,
    keepAliveTimeout: 72_000,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 200 },
    return503OnClosing: true,
  });
  app.setValidatorCompiler(compileValidator);
  registerErrors(app, options);
  registerContext(app);
  registerClosing(app);
  registerHealth(app);
  registerMetrics(app, options.name);
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: options.title ?? `${options.name} service`,
        description: options.description ?? '',
        version: options.version ?? '1.0.0',
      },
      ...options.openapi,
    },
    ...(options.transformOpenapi && { transformObject: transformWith(options.transformOpenapi) }),
  });
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
  return app;
}

function transformWith(transform: NonNullable<AppOptions['transformOpenapi']>) {
  return (document: { openapiObject: object } | { swaggerObject: object }) =>
    transform(('openapiObject' in document ? document.openapiObject : {}) as Record<string, unknown>);
}

function registerErrors(app: FastifyInstance, { mapError }: AppOptions): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem =
      toProblem(error, request) ?? mapError?.(error) ?? new Problem('internal', { cause: error });
    if (problem.status >= 500) {
      const level = problem.status === 503 ? 'warn' : 'error';
      request.log[level](
        { err: error, method: request.method, url: request.routeOptions.url },
        'request failed',
      );
    }
    return sendProblem(reply, problem, request.id);
  });
  app.setNotFoundHandler((request, reply) =>
    sendProblem(
      reply,
      new Problem('not-found', {
        detail: `There is no ${request.method} ${request.url.split('?')[0] ?? ''}.`,
      }),
      request.id,
    ),
  );
}

export function sendProblem(reply: FastifyReply, problem: Problem, requestId: string): FastifyReply {
  if (problem.retryAfterS !== undefined) void reply.header('retry-after', Math.ceil(problem.retryAfterS));
  return reply
    .code(problem.status)
    .type('application/problem+json')
    .serializer((payload: unknown) => JSON.stringify(payload))
    .send(problem.toDetails(requestId));
}

/** Bad input as a 400 that names every wrong field; a thrown Problem as itself; anything else is not known here. */
function toProblem(error: FastifyError, request: FastifyRequest): Problem | undefined {
  if (error instanceof Problem) return error;
  if (error.validation) {
    const errors = wrongFields(request);
    return new Problem('invalid-request', {
      detail: `${errors.length === 1 ? 'One field is' : `${errors.length} fields are`} wrong: ${errors.map((one) => one.field).join(', ')}.`,
      errors,
    });
  }
  const malformed = (reason: string, field: string, message: string) =>
    new Problem('invalid-request', { reason, detail: `${field} ${message}`, errors: [{ field, message }] });
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return malformed('body_too_large', 'body', `must be at most ${request.routeOptions.bodyLimit} bytes`);
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return malformed('unsupported_content_type', 'content-type', 'must be application/json');
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return malformed('invalid_json', 'body', `must be JSON: ${error.message}`);
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return malformed('invalid_content_length', 'content-length', 'must be the length of the body');
  }
  if (error instanceof SyntaxError && error.statusCode === 400)
    return malformed('invalid_json', 'body', `must be JSON: ${error.message}`);
  if (error.statusCode === 503) return new Problem('unavailable', { detail: error.message, retryAfterS: 2 });
  if (error.statusCode === 400) return malformed('bad_request', 'request', error.message);
  return undefined;
}

/** Fastify stops at the first wrong part of a request; a caller wants to hear of all of them at once. */
function wrongFields(request: FastifyRequest): FieldError[] {
  const parts = {
    params: request.params,
    headers: request.headers,
    querystring: request.query,
    body: request.body,
  };
  return Object.entries(parts).flatMap(([part, value]) => {
    const validate = request.getValidationFunction(part as keyof typeof parts);
    if (!validate || validate(value)) return [];
    return fieldErrors(validate.errors ?? [], part);
  });
}

/**
 * A connection whose answer is sent while the app closes is done: kept alive, it would hold the close up. So would one that
 * never asked anything (browsers and pools open them ahead of need): Node counts it as busy, not as idle.
 */
function registerClosing(app: FastifyInstance): void {
  let closing = false;
  const silent = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => {
    if (closing) {
      socket.destroy();
      return;
    }
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  app.server.on('request', ({ socket }: IncomingMessage) => silent.delete(socket));
  app.addHook('preClose', (done) => {
    closing = true;
    for (const socket of silent) socket.destroy();
    done();
  });
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (closing) void reply.header('connection', 'close');
    done(null, payload);
  });
}

function registerContext(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    const incoming = request.headers['traceparent'];
    const traceparent = continueTrace(typeof incoming === 'string' ? incoming : undefined);
    void reply.header('x-request-id', request.id);
    requestContext.run({ requestId: request.id, traceparent }, done);
  });
}

function registerHealth(app: FastifyInstance): void {
  const checks = new Map<string, () => Promise<unknown>>();
  app.decorate('addReadinessCheck', (name: string, check: () => Promise<unknown>) => {
    checks.set(name, check);
  });
  app.get('/health/live', { schema: { hide: true } }, () => ({ status: 'live' }));
  app.get('/health/ready', { schema: { hide: true } }, async (_request, reply) => {
    const results = await Promise.all(
      [...checks].map(async ([name, check]) => {
        try {
          await withTimeout(check(), READINESS_TIMEOUT_MS);
          return [name, 'ok'] as const;
        } catch (error) {
          return [name, messageOf(error)] as const;
        }
      }),
    );
    const ready = results.every(([, result]) => result === 'ok');
    return reply
      .code(ready ? 200 : 503)
      .send({ status: ready ? 'ready' : 'not_ready', checks: Object.fromEntries(results) });
  });
}

async function withTimeout(promise: Promise<unknown>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

function registerMetrics(app: FastifyInstance, service: string): void {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time from the request line to the end of the answer',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [registry],
  });
  app.decorate('metrics', registry);
  app.addHook('onResponse', (request, reply, done) => {
    duration.observe(
      { method: request.method, route: request.routeOptions.url ?? 'unknown', status: reply.statusCode },
      reply.elapsedTime / 1000,
    );
    done();
  });
  app.get('/metrics', { schema: { hide: true } }, async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  );
}

/** What a handler gets besides the input. */
export interface CallContext {
  /** Present for every operation marked `idempotent`. */
  idempotencyKey: string;
  request: FastifyRequest;
  reply: FastifyReply;
}

export type Handlers<C extends Contract> = {
  [K in keyof C]: (input: Input<C[K]>, context: CallContext) => Promise<Output<C[K]>>;
};

/** Registers a route for every operation of a contract. The types make sure that none is forgotten. */
export function implement<C extends Contract>(
  app: FastifyInstance,
  contract: C,
  handlers: Handlers<C>,
): void {
  for (const [operationId, spec] of Object.entries(contract) as [keyof C & string, OperationSpec][]) {
    const handler = handlers[operationId] as unknown as (
      input: unknown,
      context: CallContext,
    ) => Promise<unknown>;
    const status = spec.status ?? 200;
    app.route({
      method: spec.method,
      url: spec.path,
      schema: {
        operationId,
        summary: spec.summary,
        ...(spec.description !== undefined && { description: spec.description }),
        ...(spec.params && { params: spec.params }),
        ...(spec.query && { querystring: spec.query }),
        ...(spec.body && { body: spec.body }),
        ...(spec.idempotent && {
          headers: {
            type: 'object',
            required: ['idempotency-key'],
            properties: { 'idempotency-key': { type: 'string', minLength: 1, maxLength: 255 } },
          },
        }),
        response: { [status]: spec.response, '4xx': ProblemSchema, '5xx': ProblemSchema },
      },
      handler: async (request, reply) => {
        const key = request.headers['idempotency-key'];
        const input = { params: request.params, query: request.query, body: request.body };
        const output = await handler(input, {
          idempotencyKey: typeof key === 'string' ? key : '',
          request,
          reply,
        });
        return reply.code(status).send(output);
      },
    });
  }
}
