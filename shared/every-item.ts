/** Every item of a list, page by page. */
export async function everyItem<T>(
  list: (page: { limit: number; cursor?: string }) => Promise<{ data: T[]; next_cursor: string | null }>,
): Promise<T[]> {
  const items: T[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page = await list({ limit: 200, ...(cursor !== undefined && { cursor }) });
    items.push(...page.data);
    cursor = page.next_cursor;
  }
  return items;
}
