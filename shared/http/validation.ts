/** Request validation: every wrong field named at once, nothing dropped or coerced in a body. */
import { Ajv, type ErrorObject } from 'ajv';
import addFormatsModule from 'ajv-formats';
import type { FastifySchemaValidationError } from 'fastify';
import type { Static, TSchema } from 'typebox';
import type { FieldError } from '../errors.ts';

// ajv-formats is CommonJS with a default export of its own.
const addFormats = addFormatsModule as unknown as typeof addFormatsModule.default;

// Strings in a URL or header are all there is, so numbers are read from them; in a JSON body "1.2" is not a number.
const forText = new Ajv({
  allErrors: true,
  coerceTypes: 'array',
  useDefaults: true,
  removeAdditional: false,
  strict: false,
});
const forJson = new Ajv({
  allErrors: true,
  coerceTypes: false,
  useDefaults: true,
  removeAdditional: false,
  strict: false,
});
for (const ajv of [forText, forJson]) addFormats(ajv);

export function compileValidator({ schema, httpPart }: { schema: unknown; httpPart?: string }) {
  return (httpPart === 'body' ? forJson : forText).compile(schema as object);
}

/** Compiles a check of JSON data against a schema, for what does not come through a route. */
export function compileCheck<S extends TSchema>(
  schema: S,
): (data: unknown) => { ok: true; value: Static<S> } | { ok: false; errors: FieldError[] } {
  const validate = forJson.compile<Static<S>>(schema);
  return (data) =>
    validate(data)
      ? { ok: true, value: data }
      : { ok: false, errors: fieldErrors(validate.errors ?? [], '') };
}

/** `/packages/0/weight_kg` → `packages[0].weight_kg`. */
function fieldPath(instancePath: string, missing: string | undefined): string {
  const parts = instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (missing !== undefined) parts.push(missing);
  return parts.reduce(
    (path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : path === '' ? part : `${path}.${part}`),
    '',
  );
}

function sentence({ keyword, params, message }: FastifySchemaValidationError): string {
  switch (keyword) {
    case 'required':
      return 'is required';
    case 'additionalProperties':
      return 'is not a known field';
    case 'enum':
      return `must be one of ${(params['allowedValues'] as unknown[]).join(', ')}`;
    case 'format':
      return params['format'] === 'date-time'
        ? 'must be an RFC 3339 time such as 2026-03-01T12:00:00Z'
        : `must be a valid ${String(params['format'])}`;
    default:
      return message ?? 'is wrong';
  }
}

/** Ajv's errors as one entry per wrong field, in the caller's own words for it. `context` is `body`, `querystring`, … */
export function fieldErrors(
  errors: FastifySchemaValidationError[] | ErrorObject[],
  context: string,
): FieldError[] {
  // A union reports each branch it tried and then itself; "must be null" beside a better reason only confuses.
  const useful = (errors as FastifySchemaValidationError[]).filter(
    (error, _, all) =>
      !(
        error.keyword === 'anyOf' &&
        all.some((other) => other !== error && other.instancePath.startsWith(error.instancePath))
      ) &&
      !(error.keyword === 'type' && error.params['type'] === 'null' && all.length > 1) &&
      // The list of what is allowed says it all.
      !(error.keyword === 'type' && all.some((other) => isEnumOf(error, other))) &&
      // What is wrong with the name is an error of its own.
      error.keyword !== 'propertyNames',
  );
  const messages = new Map<string, Set<string>>();
  for (const error of useful) {
    const { propertyName } = error as { propertyName?: string };
    const extra = (error.params['missingProperty'] ?? error.params['additionalProperty'] ?? propertyName) as
      string | undefined;
    const field = fieldPath(error.instancePath, extra) || context || 'body';
    const message = propertyName === undefined ? sentence(error) : `has a name that ${sentence(error)}`;
    messages.set(field, (messages.get(field) ?? new Set()).add(message));
  }
  return [...messages].map(([field, all]) => ({ field, message: [...all].join('; ') }));
}

function isEnumOf(error: FastifySchemaValidationError, other: FastifySchemaValidationError): boolean {
  return other.keyword === 'enum' && other.instancePath === error.instancePath;
}
