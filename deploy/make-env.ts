/**
 * `npm run env > .env`: the variables of `.env.example`, with a fresh secret wherever it has none. Written to the standard
 * output, so that nothing that is in use is overwritten unasked.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generatePayloadKey } from '../shared/temporal/codec.ts';

const SECRET_BYTES = 24;
/** What the API takes for a key of each role. */
const KEY_PREFIXES: Readonly<Record<string, string>> = {
  OPERATOR_KEY: 'dd_operator_',
  DRONE_KEY: 'dd_drone_',
  ACCOUNT_KEY: 'dd_live_',
};

/** Fills in every `NAME=` of the template that has no value. */
export function withSecrets(template: string): string {
  return template.replace(/^([A-Z_]+)=$/gm, (_line, name: string) => `${name}=${secretFor(name)}`);
}

function secretFor(name: string): string {
  if (name === 'PAYLOAD_KEYS') return generatePayloadKey('k1');
  return `${KEY_PREFIXES[name] ?? ''}${randomBytes(SECRET_BYTES).toString('base64url')}`;
}

if (import.meta.filename === process.argv[1]) {
  const template = await readFile(join(import.meta.dirname, '..', '.env.example'), 'utf8');
  process.stdout.write(withSecrets(template));
}
