/**
 * Namespace and search attributes. On a server of our own they are created and then proved with a real workflow; on
 * somebody else's cluster they are only looked at, and what is missing is said as commands.
 */
import { isGrpcServiceError, type Client, type Connection } from '@temporalio/client';
import {
  encodeSearchAttributeIndexedValueType,
  type SearchAttributeType,
} from '@temporalio/common/lib/search-attributes.js';
import { type SearchAttributePair } from '@temporalio/common';
import { msToTs, tsToMs } from '@temporalio/common/lib/time.js';
import { randomUUID } from 'node:crypto';
import { DELIVERY_SEARCH_ATTRIBUTE_LIST } from '../../shared/temporal/search-attributes.ts';
import { TemporalSetupError } from './plan.ts';
import { waitUntil, type WaitOptions } from './readiness.ts';

export interface NamespaceTarget {
  address: string;
  namespace: string;
  retentionDays: number;
  /** How the printed commands have to connect: `--tls`, `--api-key …`. */
  commandFlags?: string | undefined;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const PROBE_TASK_QUEUE = 'stack-probe';
/** gRPC status codes; https://grpc.io/docs/guides/status-codes/ */
const INVALID_ARGUMENT = 3;
const NOT_FOUND = 5;
const ALREADY_EXISTS = 6;
const PERMISSION_DENIED = 7;
const UNIMPLEMENTED = 12;
const UNAUTHENTICATED = 16;

/** The names that Temporal's command line has for attribute types. */
const TYPE_NAMES: Record<SearchAttributeType, string> = {
  TEXT: 'Text',
  KEYWORD: 'Keyword',
  INT: 'Int',
  DOUBLE: 'Double',
  BOOL: 'Bool',
  DATETIME: 'Datetime',
  KEYWORD_LIST: 'KeywordList',
};

/** Creates the namespace, or sets the retention of an existing one. Returns once the server knows it everywhere. */
export async function ensureNamespace(
  connection: Connection,
  { namespace, retentionDays }: NamespaceTarget,
  options: WaitOptions = {},
): Promise<void> {
  const retention = msToTs(retentionDays * DAY_MS);
  await waitUntil(
    `Namespace ${namespace} is created`,
    async () => {
      const found = await describeNamespace(connection, namespace);
      if (found === undefined) {
        await connection.workflowService
          .registerNamespace({ namespace, workflowExecutionRetentionPeriod: retention })
          .catch(ignoreCode(ALREADY_EXISTS));
        return false;
      }
      if (found.retentionMs !== retentionDays * DAY_MS) {
        await connection.workflowService.updateNamespace({
          namespace,
          config: { workflowExecutionRetentionTtl: retention },
        });
      }
      // Services learn of a namespace from a cache: a list that is answered has passed it.
      await connection.workflowService.listWorkflowExecutions({ namespace, pageSize: 1 });
      return true;
    },
    options,
  );
}

/**
 * Adds the search attributes that are missing.
 *
 * @throws TemporalSetupError when one exists with another type.
 */
export async function ensureSearchAttributes(
  connection: Connection,
  namespace: string,
  options: WaitOptions = {},
): Promise<void> {
  await waitUntil(
    'The search attributes are created',
    async () => {
      const missing = await missingSearchAttributes(connection, namespace);
      if (missing.length === 0) return true;
      await addSearchAttributes(connection, namespace, missing);
      return false;
    },
    options,
  );
}

/** Adds search attributes without looking first: the time-skipping server knows no other call for them. */
export async function addSearchAttributes(
  connection: Connection,
  namespace: string,
  attributes: typeof DELIVERY_SEARCH_ATTRIBUTE_LIST = DELIVERY_SEARCH_ATTRIBUTE_LIST,
): Promise<void> {
  await connection.operatorService
    .addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(
        attributes.map(({ name, type }) => [name, indexedValueType(type)]),
      ),
    })
    .catch(ignoreCode(ALREADY_EXISTS));
}

/**
 * Proves that a workflow can be started with every search attribute and found by every one of them. Both take effect
 * some time after they were created, and visibility lags behind, so this waits for it. The probe leaves nothing behind.
 */
export async function probeSearchAttributes(client: Client, options: WaitOptions = {}): Promise<void> {
  const workflowId = `stack-probe-${randomUUID()}`;
  const pairs = probeValues();
  await waitUntil(
    'A workflow with the search attributes can be started',
    async () => {
      await client.workflow.start('stackProbe', {
        taskQueue: PROBE_TASK_QUEUE,
        workflowId,
        typedSearchAttributes: pairs,
        workflowExecutionTimeout: '2 minutes',
        staticSummary: 'Proves that the search attributes are set up',
      });
      return true;
    },
    options,
  );
  try {
    const query = [`WorkflowId = '${workflowId}'`, ...pairs.map((pair) => condition(pair))];
    await waitUntil(
      'The probe workflow is found by its search attributes',
      async () => {
        for await (const found of client.workflow.list({ query: query.join(' AND ') })) {
          if (found.workflowId === workflowId) return true;
        }
        return false;
      },
      options,
    );
  } finally {
    // Ends it as well. One that has ended already would stay in the list for half a minute.
    await client.workflowService.deleteWorkflowExecution({
      namespace: client.options.namespace,
      workflowExecution: { workflowId },
    });
  }
}

/**
 * Looks whether an existing cluster has what the workflows need; changes nothing.
 *
 * @throws TemporalSetupError with the exact commands that add what is missing.
 */
export async function checkNamespaceAndSearchAttributes(
  connection: Connection,
  target: NamespaceTarget,
  options: WaitOptions = {},
): Promise<void> {
  const { address, namespace, retentionDays } = target;
  const flags = `--address ${address} --namespace ${namespace}${target.commandFlags ? ` ${target.commandFlags}` : ''}`;
  const addAttributes = (attributes: typeof DELIVERY_SEARCH_ATTRIBUTE_LIST) =>
    `  temporal operator search-attribute create ${flags} ` +
    attributes.map(({ name, type }) => `--name ${name} --type ${TYPE_NAMES[type]}`).join(' ');
  let found: { retentionMs: number } | undefined;
  await waitUntil(
    `Temporal at ${address} answers`,
    async () => {
      found = await describeNamespace(connection, namespace);
      return true;
    },
    { timeoutMs: 20_000, ...options },
  );
  if (found === undefined) {
    throw new TemporalSetupError(
      `Temporal at ${address} has no namespace "${namespace}". Create it, and its search attributes, with:\n\n` +
        `  temporal operator namespace create ${flags} --retention ${retentionDays}d\n` +
        `${addAttributes(DELIVERY_SEARCH_ATTRIBUTE_LIST)}\n`,
    );
  }
  const missing = await missingSearchAttributes(connection, namespace);
  if (missing.length > 0) {
    const names = missing.map(({ name }) => name).join(', ');
    throw new TemporalSetupError(
      `Namespace "${namespace}" of Temporal at ${address} lacks the search attributes ${names}. Add them with:\n\n` +
        `${addAttributes(missing)}\n`,
    );
  }
}

async function describeNamespace(
  connection: Connection,
  namespace: string,
): Promise<{ retentionMs: number } | undefined> {
  try {
    const { config } = await connection.workflowService.describeNamespace({ namespace });
    return {
      retentionMs: config?.workflowExecutionRetentionTtl ? tsToMs(config.workflowExecutionRetentionTtl) : 0,
    };
  } catch (error) {
    if (hasCode(error, NOT_FOUND)) return undefined;
    throw error;
  }
}

async function missingSearchAttributes(
  connection: Connection,
  namespace: string,
): Promise<typeof DELIVERY_SEARCH_ATTRIBUTE_LIST> {
  const present = await customSearchAttributes(connection, namespace);
  if (present === 'not told') return attributesRefusedInQueries(connection, namespace);
  return DELIVERY_SEARCH_ATTRIBUTE_LIST.filter(({ name, type }) => {
    const found = present[name];
    if (found === undefined) return true;
    if (found !== indexedValueType(type)) {
      throw new TemporalSetupError(
        `Search attribute ${name} of namespace "${namespace}" exists with another type than ${TYPE_NAMES[type]}. ` +
          `Remove it (temporal operator search-attribute remove --name ${name}) or use another namespace.`,
      );
    }
    return false;
  });
}

async function customSearchAttributes(
  connection: Connection,
  namespace: string,
): Promise<Record<string, unknown> | 'not told'> {
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    return customAttributes;
  } catch (error) {
    if (hasCode(error, PERMISSION_DENIED, UNIMPLEMENTED, UNAUTHENTICATED)) return 'not told';
    throw error;
  }
}

/** For a cluster that does not open its operator service (Temporal Cloud): a query by an unknown attribute is refused. */
async function attributesRefusedInQueries(
  connection: Connection,
  namespace: string,
): Promise<typeof DELIVERY_SEARCH_ATTRIBUTE_LIST> {
  const refused: typeof DELIVERY_SEARCH_ATTRIBUTE_LIST = [];
  for (const pair of probeValues()) {
    const query = condition(pair);
    try {
      await connection.workflowService.listWorkflowExecutions({ namespace, query, pageSize: 1 });
    } catch (error) {
      if (!hasCode(error, INVALID_ARGUMENT)) throw error;
      refused.push(...DELIVERY_SEARCH_ATTRIBUTE_LIST.filter(({ name }) => name === pair.key.name));
    }
  }
  return refused;
}

function probeValues(): SearchAttributePair[] {
  return DELIVERY_SEARCH_ATTRIBUTE_LIST.map((key) => probeValue(key));
}

function probeValue(key: (typeof DELIVERY_SEARCH_ATTRIBUTE_LIST)[number]): SearchAttributePair {
  const { name } = key;
  switch (key.type) {
    case 'KEYWORD':
      return { key: { name, type: key.type }, value: 'probe' };
    case 'INT':
      return { key: { name, type: key.type }, value: 1 };
    case 'DATETIME':
      return { key: { name, type: key.type }, value: new Date('2000-01-01T00:00:00.000Z') };
  }
}

/** A query that the probe's value meets. Times as a range: an SQLite store finds none by equality. */
function condition({ key, value }: SearchAttributePair): string {
  if (value instanceof Date) {
    const [before, after] = [-1, 1].map((days) => new Date(value.getTime() + days * DAY_MS).toISOString());
    return `${key.name} BETWEEN '${before ?? ''}' AND '${after ?? ''}'`;
  }
  return `${key.name} = ${typeof value === 'string' ? `'${value}'` : String(value)}`;
}

function indexedValueType(type: SearchAttributeType) {
  const encoded = encodeSearchAttributeIndexedValueType(type);
  if (encoded === undefined) throw new TypeError(`No indexed value type for ${type}`);
  return encoded;
}

function ignoreCode(code: number) {
  return (error: unknown): void => {
    if (!hasCode(error, code)) throw error;
  };
}

function hasCode(error: unknown, ...codes: number[]): boolean {
  return isGrpcServiceError(error) && codes.includes(error.code);
}
