/** What makes two bodies the same request, whatever the order of their fields. */
import { hash } from 'node:crypto';

/** SHA-256, hex, of the JSON with the fields of every object in order. */
export function fingerprintOf(body: unknown): string {
  return hash('sha256', canonicalJson(body), 'hex');
}

/** RFC 8785 for what `JSON.parse` gives: fields by code unit, numbers and strings as ECMAScript writes them. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`);
  return `{${fields.join(',')}}`;
}
