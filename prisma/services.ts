// The services that own data: each has a folder here, a Postgres schema and two roles of its own.

export const SERVICES = ['account', 'package', 'drone', 'carrier', 'delivery', 'ingestion'] as const;

export type ServiceName = (typeof SERVICES)[number];

export function isServiceName(name: string): name is ServiceName {
  return (SERVICES as readonly string[]).includes(name);
}

/** The Postgres schema that holds the service's tables. */
export function schemaOf(service: ServiceName): string {
  return service;
}

/** The role that owns the schema and runs its migrations. */
export function ownerRoleOf(service: ServiceName): string {
  return `${service}_owner`;
}

/** The role the running service connects as: it reads and writes rows, and can change no table. */
export function runtimeRoleOf(service: ServiceName): string {
  return `${service}_app`;
}
