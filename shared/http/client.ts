/** The one HTTP client: typed from a contract, keep-alive, bounded in time. What goes wrong is always a `Problem`. */
import { Agent, request } from 'undici';
import { messageOf, Problem, type ProblemDetails } from '../errors.ts';
import { requestContext } from './context.ts';
import type { Contract, Input, OperationSpec, Output } from './contract.ts';

export interface ClientOptions {
  /** `http://127.0.0.1:4001` */
  baseUrl: string;
  /** Whole call, wall milliseconds; 10 s unless told. */
  timeoutMs?: number;
  /** Sent with every request (an API key). */
  headers?: Record<string, string>;
  /** Requests under way at once; further ones queue. 64 unless told: a client that waits in long polls needs more. */
  connections?: number;
}

export interface CallOptions {
  idempotencyKey?: string;
  signal?: AbortSignal;
  timeoutMs?: number;
}

export type Client<C extends Contract> = {
  [K in keyof C]: (input: Input<C[K]>, options?: CallOptions) => Promise<Output<C[K]>>;
} & { close(): Promise<void> };

const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * A client with one method per operation. Each throws a `Problem`: the one the service answered with, `unavailable`
 * when it could not be reached, `timeout` when it did not answer in time.
 */
export function createClient<C extends Contract>(contract: C, options: ClientOptions): Client<C> {
  const agent = new Agent({
    connections: options.connections ?? 64,
    pipelining: 1,
    connect: { timeout: 2_000 },
    keepAliveTimeout: 10_000,
  });
  const call =
    (spec: OperationSpec) =>
    async (input: CallInput, callOptions: CallOptions = {}) =>
      send(agent, options, spec, input, callOptions);
  const methods = Object.fromEntries(Object.entries(contract).map(([name, spec]) => [name, call(spec)]));
  return { ...methods, close: () => agent.destroy() } as Client<C>;
}

interface CallInput {
  params?: Record<string, string>;
  query?: Record<string, unknown>;
  body?: unknown;
}

async function send(
  agent: Agent,
  client: ClientOptions,
  spec: OperationSpec,
  input: CallInput,
  options: CallOptions,
) {
  const url =
    client.baseUrl +
    spec.path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(input.params?.[name] ?? ''));
  const timeoutMs = options.timeoutMs ?? client.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const context = requestContext.getStore();
  let status: number;
  let text: string;
  // Not `AbortSignal.timeout`: its timer outlives an answered call, and thousands of them fire for nobody.
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), timeoutMs).unref();
  try {
    const response = await request(url, {
      dispatcher: agent,
      method: spec.method,
      ...(input.query && { query: queryOf(input.query) }),
      ...(input.body !== undefined && { body: JSON.stringify(input.body) }),
      headers: {
        ...client.headers,
        ...(input.body !== undefined && { 'content-type': 'application/json' }),
        ...(options.idempotencyKey !== undefined && { 'idempotency-key': options.idempotencyKey }),
        ...(context && { 'x-request-id': context.requestId, traceparent: context.traceparent }),
      },
      signal: options.signal ? AbortSignal.any([options.signal, deadline.signal]) : deadline.signal,
    });
    status = response.statusCode;
    text = await response.body.text();
  } catch (error) {
    if (options.signal?.aborted) throw error;
    if (deadline.signal.aborted) {
      throw new Problem('timeout', {
        detail: `${spec.method} ${spec.path} did not answer within ${timeoutMs} ms.`,
        cause: error,
      });
    }
    throw new Problem('unavailable', {
      detail: `${spec.method} ${spec.path} could not be reached: ${messageOf(error)}`,
      retryAfterS: 2,
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
  if (status >= 200 && status < 300) return text === '' ? undefined : (JSON.parse(text) as unknown);
  throw Problem.fromDetails(problemOf(status, text));
}

function queryOf(query: Record<string, unknown>): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(query)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, Array.isArray(value) ? value.map(String) : String(value)]),
  );
}

/** The body as a problem; a proxy's HTML page or an empty body still becomes one with the right status. */
function problemOf(status: number, text: string): ProblemDetails {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null && 'type' in body && 'status' in body)
      return body as ProblemDetails;
  } catch {
    // Not JSON: fall through to a problem made from the status.
  }
  return { type: 'about:blank', title: `HTTP ${status}`, status, detail: text.slice(0, 200) };
}
