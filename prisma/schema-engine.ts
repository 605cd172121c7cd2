// Prisma's own schema engine, as WebAssembly: nothing is downloaded, and what it writes is what `prisma migrate` writes.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PrismaPg } from '@prisma/adapter-pg';
import {
  bindMigrationAwareSqlAdapterFactory,
  ColumnTypeEnum,
  DriverAdapterError,
  type SqlDriverAdapter,
} from '@prisma/driver-adapter-utils';
import type * as SchemaEngineWasm from '@prisma/schema-engine-wasm';
import pg from 'pg';

export type SchemaEngine = SchemaEngineWasm.SchemaEngine;
export type MigrationList = SchemaEngineWasm.MigrationList;

export interface SchemaFile {
  path: string;
  content: string;
}

export interface EngineOptions {
  schemaFile: SchemaFile;
  connectionString: string;
  /** The Postgres schema that everything the engine does happens in. */
  postgresSchema: string;
  /** May add to a script before it runs; a script is sent whole, so it is one transaction. */
  rewriteScript?: (script: string) => string;
}

/** A script failed; `cause` is what Postgres said. */
export class ScriptError extends Error {
  override readonly name = 'ScriptError';

  constructor(script: string, cause: pg.DatabaseError) {
    super(describeScriptError(script, cause), { cause });
  }
}

/**
 * Runs `work` with a schema engine and the one database session that it uses.
 *
 * @throws ScriptError when a script that the engine ran failed
 */
export async function withSchemaEngine<T>(
  options: EngineOptions,
  work: (engine: SchemaEngine, session: pg.Pool) => Promise<T>,
): Promise<T> {
  const { SchemaEngine } = await loadEngine();
  // One session for all: the engine's advisory lock belongs to a session.
  const session = new pg.Pool({
    connectionString: options.connectionString,
    max: 1,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: 10_000,
    application_name: 'schema-engine',
    // A lock not granted in a minute is a stuck migration elsewhere: better an error than a hang.
    options: `-c search_path=${options.postgresSchema} -c lock_timeout=60s -c statement_timeout=0`,
  });
  const failures: ScriptError[] = [];
  const connect = (): Promise<SqlDriverAdapter> => engineAdapter(session, options, failures);
  const factory = bindMigrationAwareSqlAdapterFactory({
    provider: 'postgres',
    adapterName: '@prisma/adapter-pg',
    connect,
    connectToShadowDb: () =>
      Promise.reject(new Error('There is no shadow database: compare a migrated one instead.')),
  });
  let engine: SchemaEngine | undefined;
  try {
    const { path, content } = options.schemaFile;
    engine = await SchemaEngine.new({ datamodels: [[path, content]] }, () => undefined, factory);
    return await work(engine, session);
  } catch (error) {
    throw failures[0] ?? error;
  } finally {
    engine?.free();
    await session.end();
  }
}

/** Prisma's Postgres adapter, with the two changes that the schema engine needs. */
async function engineAdapter(
  session: pg.Pool,
  { postgresSchema, rewriteScript = (script) => script }: EngineOptions,
  failures: ScriptError[],
): Promise<SqlDriverAdapter> {
  const internalChars = markInternalChars(session);
  const adapter: SqlDriverAdapter = await new PrismaPg(session, { schema: postgresSchema }).connect();
  const queryRaw = adapter.queryRaw.bind(adapter);
  adapter.queryRaw = async (query) => {
    const result = await queryRaw(query);
    for (const column of internalChars.get(result.rows) ?? []) {
      result.columnTypes[column] = ColumnTypeEnum.Character;
    }
    return result;
  };
  // The original splits at every semicolon, which cuts function bodies in pieces.
  adapter.executeScript = async (script) => {
    try {
      await session.query(rewriteScript(script));
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error;
      const failure = new ScriptError(script, error);
      failures.push(failure);
      throw new DriverAdapterError({
        kind: 'postgres',
        code: error.code ?? '',
        severity: error.severity ?? 'ERROR',
        message: failure.message,
        detail: error.detail,
        column: error.column,
        hint: error.hint,
      });
    }
  };
  return adapter;
}

/**
 * The adapter has no conversion for Postgres's internal type "char" (oid 18), of which the catalogue that the engine
 * reads is full. Such columns are read as text here, and remembered by the rows they are in.
 */
function markInternalChars(session: pg.Pool): WeakMap<object, number[]> {
  const found = new WeakMap<object, number[]>();
  const query = session.query.bind(session) as (
    ...args: unknown[]
  ) => Promise<pg.QueryArrayResult | pg.QueryArrayResult[]>;
  const marking = async (...args: unknown[]): Promise<unknown> => {
    const result = await query(...args);
    if (Array.isArray(result)) return result;
    const columns = result.fields.flatMap((field, index) =>
      field.dataTypeID === INTERNAL_CHAR ? [index] : [],
    );
    for (const column of columns) {
      const field = result.fields[column];
      if (field) field.dataTypeID = pg.types.builtins.TEXT;
    }
    found.set(result.rows, columns);
    return result;
  };
  session.query = marking as typeof session.query;
  return found;
}

const INTERNAL_CHAR = 18;

/** The part of the global that is used here; its full types come with the browser's, which are not ours. */
declare const WebAssembly: {
  instantiate(
    binary: Uint8Array,
    imports: Record<string, object>,
  ): Promise<{ instance: { exports: { __wbindgen_start(): void } } }>;
};

let loading: Promise<typeof SchemaEngineWasm> | undefined;

/** The package's own entry imports the `.wasm` file as a module, which Node cannot do: the same by hand. */
function loadEngine(): Promise<typeof SchemaEngineWasm> {
  loading ??= (async () => {
    const folder = dirname(createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm'));
    const glue = (await import(
      pathToFileURL(join(folder, 'schema_engine_bg.js')).href
    )) as typeof SchemaEngineWasm & {
      __wbg_set_wasm(exports: object): void;
    };
    const binary = await readFile(join(folder, 'schema_engine_bg.wasm'));
    const { instance } = await WebAssembly.instantiate(binary, { './schema_engine_bg.js': glue });
    glue.__wbg_set_wasm(instance.exports);
    reportPanics();
    instance.exports.__wbindgen_start();
    return glue;
  })();
  return loading;
}

/** Where the engine looks for somebody to tell of a panic; without it, a panic ends the process without a word. */
function reportPanics(): void {
  Object.assign(globalThis, {
    PRISMA_WASM_PANIC_REGISTRY: {
      set_message(message: string) {
        console.error(`schema engine: ${message}`);
      },
    },
  });
}

function describeScriptError(script: string, error: pg.DatabaseError): string {
  const position = Number(error.position ?? 0);
  const line = position > 0 ? script.slice(0, position - 1).split('\n').length : undefined;
  const text = line === undefined ? undefined : script.split('\n')[line - 1]?.trim();
  return [
    `${error.message} (SQLSTATE ${error.code ?? 'unknown'})`,
    ...(line === undefined ? [] : [`at line ${line}: ${text ?? ''}`]),
    ...(error.detail ? [`detail: ${error.detail}`] : []),
    ...(error.hint ? [`hint: ${error.hint}`] : []),
    ...(error.where ? [`where: ${error.where}`] : []),
  ].join('\n  ');
}
