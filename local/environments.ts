/** The environment of every role, as tables: for `--help` and for docs/configuration.md. */
import type { TObject, TSchema } from 'typebox';
import { ApiEnvironment } from '../api/environment.ts';
import { SERVICES } from '../prisma/services.ts';
import { servicesEnvironment } from '../services/environment.ts';
import { SimulatorEnvironment } from '../simulator/environment.ts';
import { WorkerEnvironment } from '../workers/environment.ts';
import { CodecEnvironment } from './codec-server-environment.ts';

/** By role. */
export const ROLE_ENVIRONMENTS: Readonly<Record<string, TObject>> = {
  api: ApiEnvironment,
  worker: WorkerEnvironment,
  services: servicesEnvironment(SERVICES),
  ...Object.fromEntries(
    SERVICES.map((service): [string, TObject] => [service, servicesEnvironment([service])]),
  ),
  simulator: SimulatorEnvironment,
  codec: CodecEnvironment,
};

export interface Variable {
  name: string;
  type: string;
  /** Undefined: there is none. */
  default: string | undefined;
  required: boolean;
  description: string;
}

export function variablesOf(schema: TObject): Variable[] {
  const required = new Set<string>(schema.required);
  return Object.entries(schema.properties).map(([name, property]) => {
    const { description = '', default: value }: { description?: string; default?: unknown } = property;
    return {
      name,
      type: typeOf(property),
      default: value === undefined ? undefined : JSON.stringify(value).replace(/^"|"$/g, ''),
      required: required.has(name) && value === undefined,
      description,
    };
  });
}

/** For a terminal: one line per variable. */
export function environmentTable(schema: TObject): string {
  const variables = variablesOf(schema);
  const width = Math.max(...variables.map(({ name }) => name.length));
  return variables
    .map(({ name, description, default: value, required }) => {
      const state = required ? 'required' : value === undefined ? 'optional' : `default ${value}`;
      return `  ${name.padEnd(width)}  ${[description, `(${state})`].filter(Boolean).join(' ')}`;
    })
    .join('\n');
}

/** For a Markdown page. */
export function markdownTable(variables: readonly Variable[]): string {
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const rows = variables.map(({ name, type, description, default: value, required }) => {
    const state = required ? '**required**' : value === undefined ? '' : `\`${value}\``;
    return `| \`${name}\` | ${cell(type)} | ${state} | ${cell(description)} |`;
  });
  return ['| variable | type | default | what it is |', '|---|---|---|---|', ...rows].join('\n');
}

function typeOf(property: TSchema): string {
  const { type, enum: words } = property as { type?: string; enum?: unknown[] };
  if (words) return words.map(String).join(', ');
  return type ?? 'string';
}
