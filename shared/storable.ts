/** What the databases behind us cannot keep: accepted, it would fail for ever on its way. Pure: workflow code imports it. */
import type { FieldError } from './errors.ts';

/** Half a surrogate pair is a character of its own only where it stands alone. */
export const isStorable = (text: string): boolean => !text.includes('\0') && !/\p{Surrogate}/u.test(text);

const MESSAGE = 'must not contain U+0000 or half a surrogate pair';

/** Every text in a value, and every name, that cannot be stored, by field; empty: all can. */
export function unstorable(value: unknown, field = ''): FieldError[] {
  if (typeof value === 'string') return isStorable(value) ? [] : [{ field, message: MESSAGE }];
  if (Array.isArray(value)) return value.flatMap((item, index) => unstorable(item, `${field}[${index}]`));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) =>
    isStorable(key)
      ? unstorable(item, field === '' ? key : `${field}.${key}`)
      : [{ field, message: `a name in it ${MESSAGE}` }],
  );
}
