import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormatsModule from 'ajv-formats';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLogger } from '../test/support/service.ts';
import { buildApi } from './app.ts';
import { proofImage, publicContract, trackingStream } from './contract.ts';
import type { PublicOperation } from './operation.ts';

const addFormats = addFormatsModule as unknown as typeof addFormatsModule.default;

interface MediaType {
  schema: object;
  examples?: Record<string, { value: unknown }>;
  example?: unknown;
}
interface DocumentedOperation {
  operationId: string;
  summary: string;
  description: string;
  tags: string[];
  security: object[];
  requestBody?: { required: boolean; content: Record<string, MediaType> };
  responses: Record<string, { description: string; content?: Record<string, MediaType>; headers?: object }>;
}
interface Document {
  openapi: string;
  paths: Record<string, Record<string, DocumentedOperation>>;
  components: { schemas: Record<string, object> };
}

const NOWHERE = 'http://127.0.0.1:1';
let app: FastifyInstance;
let document: Document;
let operations: { path: string; method: string; operation: DocumentedOperation }[];

beforeAll(async () => {
  app = await buildApi({
    services: { account: NOWHERE, drone: NOWHERE, delivery: NOWHERE, ingestion: NOWHERE },
    logger: silentLogger,
  });
  const response = await app.inject('/openapi.json');
  document = response.json<Document>();
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
});
afterAll(() => app.close());

/** The paths of the router's own tree, four columns a level. */
function routedPaths(router: FastifyInstance): string[] {
  const parts: string[] = [];
  const paths: string[] = [];
  for (const line of router.printRoutes({ commonPrefix: false }).split('\n')) {
    const match = /^([│ ]*)[└├]── (\S*)(?: \((.+)\))?$/.exec(line);
    if (!match) continue;
    const [, indent = '', part = '', methods] = match;
    parts.splice(indent.length / 4, Infinity, part);
    if (methods !== undefined) paths.push(parts.join(''));
  }
  return paths.sort();
}

const published: Record<string, PublicOperation> = {
  ...publicContract,
  ...trackingStream,
  ...proofImage,
};

describe('The OpenAPI document', () => {
  it('is valid OpenAPI 3.1', async () => {
    const result = await new Validator().validate({ ...document });
    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
    expect(document.openapi).toBe('3.1.0');
  });

  it('has every operation of the public contract, and no route that is not in it', () => {
    const wanted = Object.entries(published).map(
      ([id, { method, path }]) => `${method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, '{$1}')} ${id}`,
    );
    const found = operations.map(
      ({ path, method, operation }) => `${method} ${path} ${operation.operationId}`,
    );
    expect(found.sort()).toEqual(wanted.sort());
    expect(routedPaths(app).filter((path) => path.startsWith('/v1'))).toEqual(
      [...new Set(Object.values(published).map(({ path }) => path))].sort(),
    );
  });

  it('says of every operation who may call it, how it answers and how it fails', () => {
    for (const { path, operation } of operations) {
      const isOpen = published[operation.operationId]?.access === 'anybody';
      expect.soft(operation.security, path).toEqual(isOpen ? [] : [{ apiKey: [] }]);
      expect.soft(operation.summary, path).not.toBe('');
      expect.soft(operation.description, path).toMatch(/Keys: \w+/);
      expect.soft(operation.tags, path).toHaveLength(1);
      const statuses = Object.keys(operation.responses);
      expect
        .soft(
          statuses.some((status) => status.startsWith('2')),
          path,
        )
        .toBe(true);
      for (const status of [...(isOpen ? [] : ['401', '403']), '429', '503'])
        expect.soft(statuses, path).toContain(status);
      for (const [status, response] of Object.entries(operation.responses)) {
        const bodiless = ['204', '304'].includes(status);
        const media = Object.values(response.content ?? {});
        expect.soft(media.length, `${path} ${status}`).toBe(bodiless ? 0 : 1);
        for (const { schema } of media) expect.soft(schema, `${path} ${status}`).toBeTypeOf('object');
      }
    }
  });

  it('shows examples that fit their own schemas', () => {
    const ajv = new Ajv2020({ strict: false, allErrors: true });
    addFormats(ajv);
    ajv.addSchema(document, 'document');
    let checked = 0;
    const check = (where: string, pointer: string[], value: unknown) => {
      const path = pointer.map((part) =>
        encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')),
      );
      const validate = ajv.compile({ $ref: `document#/${path.join('/')}` });
      validate(value);
      expect.soft(validate.errors ?? [], where).toEqual([]);
      checked += 1;
    };
    for (const { path, method, operation } of operations) {
      const media = [
        ...Object.entries(operation.requestBody?.content ?? {}).map(
          ([type, one]) => [['requestBody', 'content', type], one] as const,
        ),
        ...Object.entries(operation.responses).flatMap(([status, { content = {} }]) =>
          Object.entries(content).map(
            ([type, one]) => [['responses', status, 'content', type], one] as const,
          ),
        ),
      ];
      for (const [place, one] of media) {
        const examples = [
          ...Object.values(one.examples ?? {}).map(({ value }) => value),
          ...(one.example === undefined ? [] : [one.example]),
        ];
        for (const example of examples) {
          check(`${method} ${path} ${place.join(' ')}`, ['paths', path, method, ...place, 'schema'], example);
        }
      }
    }
    expect(checked).toBeGreaterThan(100);
  });

  it('gives an example of every request body, and of what the first steps answer', () => {
    for (const { operation } of operations) {
      const body = operation.requestBody?.content['application/json'];
      if (body) expect.soft(body.example ?? body.examples, operation.operationId).toBeDefined();
    }
    for (const id of ['createDelivery', 'getDelivery', 'cancelDelivery', 'getTracking', 'createAccount']) {
      const found = operations.find(({ operation }) => operation.operationId === id)?.operation;
      const success = found?.responses['200'] ?? found?.responses['201'];
      expect.soft(success?.content?.['application/json']?.examples, id).toBeDefined();
    }
  });

  it('names its shapes once', () => {
    for (const name of ['Delivery', 'Problem', 'Tracking', 'StatusUpdate', 'PositionUpdate', 'Drone']) {
      expect(document.components.schemas).toHaveProperty(name);
    }
    expect(JSON.stringify(document).length).toBeLessThan(250_000);
  });

  it('lets a cancel do without a body', () => {
    const cancel = document.paths['/v1/deliveries/{delivery_id}/cancel']?.['post'];
    expect(cancel?.requestBody?.required).toBe(false);
  });
});
