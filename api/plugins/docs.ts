/** The reference page at `/docs`, and the last touches to the OpenAPI document behind it. */
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { PositionUpdate, publicContract, StatusUpdate } from '../contract.ts';
import { TAGS } from '../operation.ts';

async function docs(app: FastifyInstance): Promise<void> {
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { persistAuthorization: true, displayRequestDuration: true, docExpansion: 'list' },
    // The page styles its elements inline; scripts and calls come from and go to this server only.
    staticCSP:
      "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; img-src 'self' data:; object-src 'none'; style-src 'self' 'unsafe-inline'",
    theme: {
      title: 'Drone Delivery API',
      // There is one document only: nothing to choose from.
      css: [{ filename: 'theme.css', content: '.swagger-ui .topbar { display: none }' }],
    },
  });
}

export default fp(docs, { name: 'docs' });

const TAG_DESCRIPTIONS: Readonly<Record<(typeof TAGS)[number], string>> = {
  Deliveries: 'Request deliveries and see what became of them.',
  Tracking: 'Where a delivery is right now, once or as a stream.',
  Recipients: 'For whoever has a tracking link: where it is, and the proof that it arrived.',
  Accounts: 'Businesses and their first API key.',
  Drones: 'For aircraft and fleet gateways: telemetry, missions, milestones.',
  Operations: 'For operators: the whole fleet and every tenant.',
  'Test helpers': 'With a test key only: what a test must know and nobody else may.',
};

export const API_DESCRIPTION = `Request a drone delivery, follow it live, cancel it while its package is not aboard.

**Authentication.** \`Authorization: Bearer <key>\`. Keys belong to a business, an operator or a drone; each operation says whose it takes. A business sees only what is its own: anything else is a 404.

**Errors** are [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem details with a stable \`type\`. 400 names every wrong field at once; 422 is well-formed but cannot be served; 409 carries a \`reason\`; 429 and 503 say when to come back (\`Retry-After\`).

**Repetitions.** Send an \`Idempotency-Key\` with a POST and repeat it freely: the first result is answered again, marked \`Idempotent-Replayed: true\`.

**Conventions.** Times are RFC 3339 in UTC. Units stand in names (\`weight_kg\`, \`altitude_m\`). Money is in minor units. Positions are WGS 84 degrees. Lists are pages: pass \`next_cursor\` as \`cursor\`. \`RateLimit-*\` headers say what is left, \`X-Request-Id\` names a request to support.`;

export const OPENAPI = {
  tags: TAGS.map((name) => ({ name, description: TAG_DESCRIPTIONS[name] })),
  components: {
    securitySchemes: {
      apiKey: { type: 'http', scheme: 'bearer', description: 'An API key: `dd_live_…` or `dd_test_…`' },
    },
  },
};

type Json = Record<string, unknown>;

/**
 * Moves every schema that has a title to `components/schemas`, so that the reference shows names instead of repeating
 * shapes, and marks the bodies that may be left out.
 */
export function finishOpenapi(document: Json): Json {
  const schemas: Json = {};
  const hoist = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(hoist);
    if (typeof node !== 'object' || node === null) return node;
    const hoisted: Json = Object.fromEntries(
      Object.entries(node as Json).map(([key, value]) => [key, key === 'examples' ? value : hoist(value)]),
    );
    const { title } = hoisted;
    if (typeof title !== 'string' || !('type' in hoisted || 'anyOf' in hoisted)) return hoisted;
    // Examples belong to the place where they stand.
    const { examples, ...schema } = hoisted;
    schemas[title] = schema;
    const reference = { $ref: `#/components/schemas/${title}` };
    return examples === undefined ? reference : { ...reference, examples };
  };
  // What a stream carries is in no body.
  hoist([StatusUpdate, PositionUpdate]);
  const paths = hoist(document['paths']) as Record<string, Record<string, Json>>;
  for (const operation of Object.values(publicContract)) {
    if (!('bodyOptional' in operation)) continue;
    const path = operation.path.replaceAll(/:(\w+)/g, '{$1}');
    const body = paths[path]?.[operation.method.toLowerCase()]?.['requestBody'] as Json | undefined;
    if (body) body['required'] = false;
  }
  return { ...document, paths, components: { ...(document['components'] as Json), schemas } };
}
