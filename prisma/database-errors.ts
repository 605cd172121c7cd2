// What went wrong in the database, read from the shapes in which Prisma 7 and its Postgres adapter report it. The
// shapes were found by experiment; `database-errors.test.ts` holds them to it.

/** The SQLSTATE codes: https://www.postgresql.org/docs/18/errcodes-appendix.html */
const UNIQUE_VIOLATION = '23505';
const SERIALIZATION_FAILURES = new Set(['40001', '40P01']);
/** A character that is none in the encoding; a time that is none, or is out of range. */
const UNSTORABLE_VALUES = new Set(['22021', '22007', '22008']);
/** The server ends, starts, or has no connection left; class 08 is the connection itself. */
const UNAVAILABLE = new Set(['57P01', '57P02', '57P03', '57P05', '53300']);

/** How the adapter classifies a socket's error. */
const UNREACHABLE_KINDS = new Set([
  'DatabaseNotReachable',
  'ConnectionClosed',
  'SocketTimeout',
  'TooManyConnections',
]);

/** Prisma's own: cannot reach, timed out, closed, no free connection in time. */
const UNREACHABLE_PRISMA_CODES = new Set(['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2037']);

const SOCKET_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
]);

/** What `pg` throws as a plain `Error`, without a code. */
const UNREACHABLE_MESSAGES =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Query read timeout|Cannot use a pool after calling end|Client was closed and is not queryable)/;

/**
 * A row with the same unique key exists.
 *
 * @param constraint only for this one: the name of the constraint or unique index in the database
 */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  const { sqlState, violated } = diagnose(error);
  return sqlState === UNIQUE_VIOLATION && (constraint === undefined || constraint === violated);
}

/** Two transactions got in each other's way (write conflict or deadlock): nothing was written, run it again. */
export function isSerializationFailure(error: unknown): boolean {
  const { sqlState, prismaCode } = diagnose(error);
  return prismaCode === 'P2034' || (sqlState !== undefined && SERIALIZATION_FAILURES.has(sqlState));
}

/**
 * Postgres cannot be reached, went away, or has no connection free: answer 503 with `Retry-After`. A write that was
 * under way may or may not have been committed.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  const { sqlState, prismaCode, kind, socketCode, message } = diagnose(error);
  return (
    (sqlState !== undefined && (UNAVAILABLE.has(sqlState) || sqlState.startsWith('08'))) ||
    (kind !== undefined && UNREACHABLE_KINDS.has(kind)) ||
    (prismaCode !== undefined && UNREACHABLE_PRISMA_CODES.has(prismaCode)) ||
    (prismaCode === 'P2028' && message.includes('Unable to start a transaction in the given time')) ||
    (socketCode !== undefined && SOCKET_CODES.has(socketCode)) ||
    UNREACHABLE_MESSAGES.test(message)
  );
}

/** A value that JSON may carry and Postgres cannot store (U+0000 in a text, the year 0): the caller's mistake. */
export function isUnstorableValue(error: unknown): boolean {
  const { sqlState } = diagnose(error);
  return sqlState !== undefined && UNSTORABLE_VALUES.has(sqlState);
}

interface Diagnosis {
  message: string;
  prismaCode?: string | undefined;
  sqlState?: string | undefined;
  socketCode?: string | undefined;
  /** The adapter's word for the error. */
  kind?: string | undefined;
  /** The name of the constraint that was violated. */
  violated?: string | undefined;
}

/** Three shapes: Prisma's error around the adapter's, the adapter's own, and one of `pg` (a `DatabaseError` or plain). */
function diagnose(error: unknown): Diagnosis {
  if (!isObject(error)) return { message: '' };
  const message = stringIn(error, 'message') ?? '';
  const code = stringIn(error, 'code');
  const adapterError = objectIn(objectIn(error, 'meta'), 'driverAdapterError') ?? error;
  const cause = objectIn(adapterError, 'cause');
  if (cause && stringIn(cause, 'kind') !== undefined) {
    return {
      message,
      prismaCode: code,
      kind: stringIn(cause, 'kind'),
      sqlState: stringIn(cause, 'originalCode'),
      violated: stringIn(objectIn(cause, 'constraint'), 'index'),
    };
  }
  if (code !== undefined && /^P\d{4}$/.test(code)) return { message, prismaCode: code };
  if (code !== undefined && /^[0-9A-Z]{5}$/.test(code)) {
    return { message, sqlState: code, violated: stringIn(error, 'constraint') };
  }
  return { message, socketCode: code };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function objectIn(
  value: Record<string, unknown> | undefined,
  key: string,
): Record<string, unknown> | undefined {
  const inner = value?.[key];
  return isObject(inner) ? inner : undefined;
}

function stringIn(value: Record<string, unknown> | undefined, key: string): string | undefined {
  const inner = value?.[key];
  return typeof inner === 'string' ? inner : undefined;
}
