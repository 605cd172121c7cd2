/** The connection to Temporal that every process uses: lazy, kept alive, with payloads encrypted. */
import {
  Client,
  Connection,
  defaultGrpcRetryOptions,
  isGrpcServiceError,
  makeGrpcRetryInterceptor,
  type ClientOptions,
  type ConnectionOptions,
  type TLSConfig,
} from '@temporalio/client';
import { type DataConverter } from '@temporalio/common';

export interface TemporalConnectionOptions {
  /** `host:port` of the frontend. */
  address: string;
  namespace: string;
  /** From `createDataConverter`. Without it payloads are neither encrypted nor decrypted: for administration only. */
  dataConverter?: DataConverter | undefined;
  /** `true` for a certificate of a public authority; an object for others. */
  tls?: TLSConfig | boolean | undefined;
  /** For Temporal Cloud; needs `tls`. */
  apiKey?: string | undefined;
  /** Who calls, as it is shown in histories: the role and its process id. */
  identity?: string | undefined;
  interceptors?: ClientOptions['interceptors'] | undefined;
}

export interface TemporalClient {
  connection: Connection;
  client: Client;
  close: () => Promise<void>;
}

const KEEPALIVE_MS = 15_000;
const KEEPALIVE_TIMEOUT_MS = 5_000;
const MAX_RECONNECT_BACKOFF_MS = 2_000;
/** A call is repeated this often within about a second; the SDK's own default would hold its caller for twenty. */
const MAX_CALL_ATTEMPTS = 4;

/**
 * A client of one namespace. Nothing is sent before the first call, so a process starts, and is ready to accept, while
 * Temporal is down; a call then fails within seconds, with an error for which `isTemporalUnavailable` holds.
 */
export function connectTemporal(options: TemporalConnectionOptions): TemporalClient {
  const connection = Connection.lazy(connectionOptions(options));
  const client = new Client({
    connection,
    namespace: options.namespace,
    ...(options.dataConverter && { dataConverter: options.dataConverter }),
    ...(options.identity !== undefined && { identity: options.identity }),
    ...(options.interceptors && { interceptors: options.interceptors }),
  });
  return { connection, client, close: () => connection.close() };
}

function connectionOptions(options: TemporalConnectionOptions): ConnectionOptions {
  return {
    address: options.address,
    ...(options.tls !== undefined && { tls: options.tls === false ? null : options.tls }),
    ...(options.apiKey !== undefined && { apiKey: options.apiKey }),
    interceptors: [makeGrpcRetryInterceptor(defaultGrpcRetryOptions({ maxAttempts: MAX_CALL_ATTEMPTS }))],
    channelArgs: {
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      'grpc.keepalive_permit_without_calls': 1,
      // gRPC's own default of up to two minutes would leave a restarted server unnoticed for that long.
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': MAX_RECONNECT_BACKOFF_MS,
    },
  };
}

/** gRPC codes after which the same call may succeed later; https://grpc.io/docs/guides/status-codes/ */
const UNAVAILABLE_CODES = new Set([
  1, // CANCELLED: the connection was closed under the call
  4, // DEADLINE_EXCEEDED
  8, // RESOURCE_EXHAUSTED: the server's rate limits
  14, // UNAVAILABLE
]);

/** True when Temporal could not be reached or could not keep up: nothing is wrong with the call, repeat it later. */
export function isTemporalUnavailable(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; cause = cause.cause, depth++) {
    if (isGrpcServiceError(cause)) return UNAVAILABLE_CODES.has(cause.code);
  }
  return false;
}
