/**
 * The one error hierarchy: a `Problem` is an RFC 9457 problem detail that can be thrown. Services answer with it, clients
 * rebuild it from the answer, activities map it to a typed Temporal failure. Pure: safe to import anywhere.
 */

/** One wrong field of a request: where it is and how to mend it. */
export interface FieldError {
  /** Path of the field as the caller wrote it: `packages[0].weight_kg`. */
  field: string;
  /** What is wrong and what would be right. */
  message: string;
}

export interface ProblemDetails {
  /** Stable, machine-readable kind: `https://drone-delivery.dev/problems/<slug>`; the slug never changes. */
  type: string;
  title: string;
  status: number;
  detail?: string;
  /** For a conflict or refusal: a stable word for why (`already_picked_up`). */
  reason?: string;
  /** For a malformed or unserviceable request: every wrong field. */
  errors?: FieldError[];
  /** The request this answers, for support. */
  request_id?: string;
  /** Seconds after which a repetition makes sense; sent as `Retry-After` too. */
  retry_after_s?: number;
}

export const PROBLEM_TYPE_BASE = 'https://drone-delivery.dev/problems/';

/** Every problem the system answers with: its slug, HTTP status and title. */
export const PROBLEMS = {
  'invalid-request': { status: 400, title: 'The request is malformed' },
  unauthorized: { status: 401, title: 'Authentication is required' },
  forbidden: { status: 403, title: 'These credentials may not do this' },
  'account-suspended': { status: 403, title: 'The account is suspended' },
  'account-closed': { status: 403, title: 'The account is closed' },
  'not-found': { status: 404, title: 'No such resource' },
  'method-not-allowed': { status: 405, title: 'Method not allowed' },
  conflict: { status: 409, title: 'The state of the resource does not allow this' },
  'request-in-progress': { status: 409, title: 'The first request with this key is still running' },
  'precondition-failed': { status: 412, title: 'The resource has changed since it was read' },
  'payload-too-large': { status: 413, title: 'The request body is too large' },
  'unsupported-media-type': { status: 415, title: 'The content type is not supported' },
  unserviceable: { status: 422, title: 'The request is well-formed but cannot be served' },
  'idempotency-key-reused': { status: 422, title: 'The idempotency key was used for another request' },
  'too-many-requests': { status: 429, title: 'Too many requests' },
  internal: { status: 500, title: 'Something went wrong on our side' },
  unavailable: { status: 503, title: 'A service this needs is not available' },
  timeout: { status: 504, title: 'A service this needs did not answer in time' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemSlug = keyof typeof PROBLEMS;

export interface ProblemOptions {
  detail?: string;
  reason?: string;
  errors?: FieldError[];
  retryAfterS?: number;
  cause?: unknown;
}

/** An error with an RFC 9457 body. `slug` is what callers compare; `reason` refines a conflict. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly slug: string;
  readonly status: number;
  readonly title: string;
  readonly detail: string | undefined;
  readonly reason: string | undefined;
  readonly errors: FieldError[] | undefined;
  readonly retryAfterS: number | undefined;

  constructor(slug: ProblemSlug, options: ProblemOptions = {}, status?: number) {
    const { status: defaultStatus, title } = PROBLEMS[slug];
    super(options.detail ?? title, { cause: options.cause });
    this.slug = slug;
    this.status = status ?? defaultStatus;
    this.title = title;
    this.detail = options.detail;
    this.reason = options.reason;
    this.errors = options.errors;
    this.retryAfterS = options.retryAfterS;
  }

  /** A repetition later may succeed: the caller did nothing wrong. */
  get retryable(): boolean {
    return this.status >= 500 || this.status === 429 || this.slug === 'request-in-progress';
  }

  toDetails(requestId?: string): ProblemDetails {
    return {
      type: PROBLEM_TYPE_BASE + this.slug,
      title: this.title,
      status: this.status,
      ...(this.detail !== undefined && { detail: this.detail }),
      ...(this.reason !== undefined && { reason: this.reason }),
      ...(this.errors !== undefined && { errors: this.errors }),
      ...(requestId !== undefined && { request_id: requestId }),
      ...(this.retryAfterS !== undefined && { retry_after_s: this.retryAfterS }),
    };
  }

  /** The problem a service answered with. An unknown slug keeps its status and becomes `internal` or `conflict`. */
  static fromDetails(details: ProblemDetails): Problem {
    const slug = details.type.startsWith(PROBLEM_TYPE_BASE)
      ? details.type.slice(PROBLEM_TYPE_BASE.length)
      : '';
    const known = slug in PROBLEMS ? (slug as ProblemSlug) : details.status >= 500 ? 'internal' : 'conflict';
    return new Problem(
      known,
      {
        ...(details.detail !== undefined && { detail: details.detail }),
        ...(details.reason !== undefined && { reason: details.reason }),
        ...(details.errors !== undefined && { errors: details.errors }),
        ...(details.retry_after_s !== undefined && { retryAfterS: details.retry_after_s }),
      },
      details.status,
    );
  }
}

export function notFound(what: string, id: string): Problem {
  return new Problem('not-found', { detail: `There is no ${what} ${id}.` });
}

export function conflict(reason: string, detail: string): Problem {
  return new Problem('conflict', { reason, detail });
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
