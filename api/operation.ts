/**
 * An operation of the public API: what a service's operation says (see shared/http/contract.ts) and, beside it, who may call
 * it, how it fails and what an example looks like. The route, its check of the caller and its page in the reference are all made
 * from it, so they cannot drift apart.
 */
import { type FastifyInstance, type FastifyReply, type FastifyRequest, type RouteOptions } from 'fastify';
import type { KEY_ROLES, Principal } from '../services/account/contract/index.ts';
import { PROBLEM_TYPE_BASE, PROBLEMS, type ProblemSlug } from '../shared/errors.ts';
import type { Input, OperationSpec, Output } from '../shared/http/contract.ts';
import { ProblemSchema } from '../shared/schemas.ts';

export type Role = (typeof KEY_ROLES)[number];

export const TAGS = [
  'Deliveries',
  'Tracking',
  'Recipients',
  'Accounts',
  'Drones',
  'Operations',
  'Test helpers',
] as const;

export interface PublicOperation extends OperationSpec {
  tag: (typeof TAGS)[number];
  /** Whose keys may call it; `anybody`: it needs none. */
  access: readonly Role[] | 'anybody';
  /** Problems it answers with beside those that every operation may (see `COMMON_PROBLEMS`). */
  problems?: readonly ProblemSlug[];
  /** Successful statuses beside the main one, with what each says. */
  alsoAnswers?: Readonly<Record<number, string>>;
  /** It may be called without a body; then it is `{}`. */
  bodyOptional?: boolean;
  /** It takes an `Idempotency-Key`; `required` where a repetition without one would act twice. */
  idempotencyKey?: 'optional' | 'required';
  /** Request headers it reads, as JSON Schema by lower-case name. */
  headers?: Readonly<Record<string, object>>;
  /** Counted against the limit for telemetry instead of the common one. */
  limit?: 'telemetry';
  /** Headers of its successful answer beside the common ones, with what each says. */
  answerHeaders?: Readonly<Record<string, string>>;
  /** The answer's media type, when it is not JSON. */
  produces?: 'text/event-stream' | 'image/*';
  examples?: { body?: unknown; response?: unknown };
}

export type PublicContract = Record<string, PublicOperation>;

/** Keeps the literal types of the operations. */
export const definePublicContract = <const C extends PublicContract>(contract: C): C => contract;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whose keys may call the route. */
    access?: readonly Role[];
    bodyOptional?: boolean;
  }
}

/** What a handler gets besides the input. */
export interface PublicContext {
  principal: Principal;
  /** The caller's `Idempotency-Key`, or null. */
  idempotencyKey: string | null;
  request: FastifyRequest;
  reply: FastifyReply;
}

/** The same for an operation that needs no key. */
export type OpenContext = Omit<PublicContext, 'principal'>;

/** Returned by a handler that has nothing to send, 304 for example. */
export const NO_BODY = Symbol('no body');

export type PublicHandlers<C extends PublicContract> = {
  [K in keyof C]: (
    input: Input<C[K]>,
    context: C[K]['access'] extends 'anybody' ? OpenContext : PublicContext,
  ) => Promise<Output<C[K]> | typeof NO_BODY>;
};

/** Registers a route for every operation of a contract. A handler may set a status of its own on the reply. */
export function implementPublic<C extends PublicContract>(
  app: FastifyInstance,
  contract: C,
  handlers: PublicHandlers<C>,
): void {
  for (const [operationId, operation] of Object.entries(contract) as [keyof C & string, PublicOperation][]) {
    const handler = handlers[operationId] as unknown as (
      input: unknown,
      context: PublicContext,
    ) => Promise<unknown>;
    const status = operation.status ?? 200;
    app.route({
      ...routeOf(operationId, operation),
      handler: async (request, reply) => {
        const key = request.headers['idempotency-key'];
        void reply.code(status);
        const output = await handler(
          { params: request.params, query: request.query, body: request.body },
          {
            principal: request.principal,
            idempotencyKey: typeof key === 'string' ? key : null,
            request,
            reply,
          },
        );
        return reply.send(output === NO_BODY ? undefined : output);
      },
    });
  }
}

/** The route of an operation without its handler. */
export function routeOf(
  operationId: string,
  operation: PublicOperation,
): Omit<RouteOptions, 'handler'> & { schema: object } {
  const headers = {
    ...(operation.idempotencyKey && {
      'idempotency-key': {
        type: 'string',
        minLength: 1,
        maxLength: 255,
        description:
          'A unique value of your own, kept at least 24 h. A repetition with the same key and body answers the first result with `Idempotent-Replayed: true`.',
      },
    }),
    ...operation.headers,
  };
  const mediaType = operation.produces ?? 'application/json';
  const example = operation.examples?.response;
  return {
    method: operation.method,
    url: operation.path,
    config: {
      access: operation.access === 'anybody' ? [] : operation.access,
      ...(operation.bodyOptional && { bodyOptional: true }),
      ...(operation.limit === 'telemetry' && { telemetry: true }),
    },
    schema: {
      operationId,
      tags: [operation.tag],
      summary: operation.summary,
      description: descriptionOf(operation),
      security: operation.access === 'anybody' ? [] : [{ apiKey: [] }],
      ...(operation.params && { params: operation.params }),
      ...(operation.query && { querystring: operation.query }),
      ...(operation.body && { body: bodyOf(operation) }),
      ...(Object.keys(headers).length > 0 && {
        headers: {
          type: 'object',
          properties: headers,
          ...(operation.idempotencyKey === 'required' && { required: ['idempotency-key'] }),
        },
      }),
      response: {
        [operation.status ?? 200]: {
          description: 'Success',
          headers: headersOf({ ...operation.answerHeaders, ...commonHeaders(operation) }),
          content: {
            [mediaType]: {
              schema: operation.response,
              ...(example !== undefined && { examples: { success: { value: example } } }),
            },
          },
        },
        ...alsoAnswered(operation, mediaType),
        ...problemResponses(problemsOf(operation)),
      },
    },
  };
}

/** Every answer has these. */
const commonHeaders = ({ access }: PublicOperation) => ({
  'X-Request-Id': 'The request’s name, yours where you sent one',
  'RateLimit-Limit': `Requests a minute ${access === 'anybody' ? 'from this address' : 'with this key'}`,
  'RateLimit-Remaining': 'How many of them are left',
  'RateLimit-Reset': 'Seconds until they are all there again',
});

function headersOf(descriptions: Readonly<Record<string, string>>): object {
  return Object.fromEntries(
    Object.entries(descriptions).map(([name, description]) => [name, { type: 'string', description }]),
  );
}

/** Every operation with a key may answer with these. */
const KEY_PROBLEMS = ['unauthorized', 'forbidden'] as const satisfies readonly ProblemSlug[];

/** Every operation may answer with these. */
const COMMON_PROBLEMS = [
  'too-many-requests',
  'internal',
  'unavailable',
] as const satisfies readonly ProblemSlug[];

function problemsOf(operation: PublicOperation): ProblemSlug[] {
  const takesInput = operation.params ?? operation.query ?? operation.body;
  return [
    ...(takesInput ? (['invalid-request'] as const) : []),
    ...(operation.access === 'anybody' ? [] : KEY_PROBLEMS),
    ...COMMON_PROBLEMS,
    ...(operation.problems ?? []),
  ];
}

function descriptionOf(operation: PublicOperation): string {
  const access =
    operation.access === 'anybody'
      ? 'Keys: none. The link is the key.'
      : `Keys: ${operation.access.join(', ')}.`;
  return operation.description === undefined ? access : `${operation.description}\n\n${access}`;
}

function bodyOf({ body, examples }: PublicOperation): object {
  return { ...body, ...(examples?.body !== undefined && { examples: [examples.body] }) };
}

function alsoAnswered({ alsoAnswers = {}, response }: PublicOperation, mediaType: string): object {
  return Object.fromEntries(
    Object.entries(alsoAnswers).map(([status, description]) => [
      status,
      BODILESS.has(Number(status))
        ? { description, type: 'null' }
        : { description, content: { [mediaType]: { schema: response } } },
    ]),
  );
}

const BODILESS: ReadonlySet<number> = new Set([204, 304]);

/** The documented problem answers, one for each status, with an example of each kind. */
function problemResponses(slugs: ProblemSlug[]): Record<number, object> {
  const byStatus = new Map<number, ProblemSlug[]>();
  for (const slug of new Set(slugs)) {
    const { status } = PROBLEMS[slug];
    byStatus.set(status, [...(byStatus.get(status) ?? []), slug]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, kinds]) => [
      status,
      {
        description: kinds.map((slug) => `\`${slug}\`: ${PROBLEMS[slug].title}`).join('. '),
        ...(COMES_BACK.has(status) && {
          headers: headersOf({ 'Retry-After': 'Seconds after which a repetition makes sense' }),
        }),
        content: {
          'application/problem+json': {
            schema: ProblemSchema,
            examples: Object.fromEntries(kinds.map((slug) => [slug, { value: exampleProblem(slug) }])),
          },
        },
      },
    ]),
  );
}

const COMES_BACK: ReadonlySet<number> = new Set([429, 503]);

function exampleProblem(slug: ProblemSlug): object {
  const { status, title } = PROBLEMS[slug];
  return {
    type: PROBLEM_TYPE_BASE + slug,
    title,
    status,
    ...EXAMPLE_DETAILS[slug],
    request_id: '5f3c1a0e-7d43-4d0c-9a53-3d7f6f2c9b11',
  };
}

const EXAMPLE_DETAILS: Partial<Record<ProblemSlug, object>> = {
  'invalid-request': {
    detail: '2 fields are wrong: pickup.location.latitude, packages[0].weight_kg.',
    errors: [
      { field: 'pickup.location.latitude', message: 'must be <= 90' },
      { field: 'packages[0].weight_kg', message: 'must be > 0' },
    ],
  },
  unserviceable: {
    detail: 'No drone can carry this out: packages.',
    errors: [
      { field: 'packages', message: 'weigh 12 kg together; the largest drone carries 5 kg in one delivery' },
    ],
  },
  conflict: { reason: 'already_picked_up', detail: 'The package is aboard: the delivery goes on.' },
  'too-many-requests': { retry_after_s: 12 },
  unavailable: { retry_after_s: 2 },
};
