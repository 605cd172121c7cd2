/** Cursor pages, newest first, over prefixed ids: they sort by time, so the cursor is the last id of the page before. */
import { Problem } from './errors.ts';
import { type Id, type IdKind, isId } from './ids.ts';

export const DEFAULT_PAGE_LIMIT = 50;

/** What a query asks the database for: one row more than the page has, to know whether another follows. */
export interface PageRequest<K extends IdKind> {
  limit: number;
  /** Only ids that sort before this one. */
  before: Id<K> | undefined;
}

/** @throws {Problem} `invalid-request` for a cursor that no page of these ids ever had. */
export function pageRequest<K extends IdKind>(
  kind: K,
  query: { limit?: number; cursor?: string },
): PageRequest<K> {
  const { limit = DEFAULT_PAGE_LIMIT, cursor } = query;
  if (cursor === undefined) return { limit, before: undefined };
  if (isId(kind, cursor)) return { limit, before: cursor };
  const message = 'must be the `next_cursor` of an earlier page';
  throw new Problem('invalid-request', {
    detail: `cursor ${message}`,
    errors: [{ field: 'cursor', message }],
  });
}

/** The page made of up to `limit + 1` rows, newest first. */
export function pageOf<T extends { id: string }>(
  rows: T[],
  limit: number,
): { data: T[]; next_cursor: string | null } {
  const data = rows.slice(0, limit);
  return { data, next_cursor: rows.length > limit ? (data.at(-1)?.id ?? null) : null };
}
