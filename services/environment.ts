/** What the services take from their environment. One process may run one of them, several or all. */
import { type TProperties, Type } from 'typebox';
import { SERVICES, type ServiceName } from '../prisma/services.ts';
import { ClockEnv, parseEnv } from '../shared/config.ts';

/** Where each service listens, and is looked for, unless told. */
const USUAL_PORT: Readonly<Record<ServiceName, number>> = {
  account: 4101,
  package: 4102,
  drone: 4103,
  carrier: 4104,
  delivery: 4105,
  ingestion: 4106,
};

/** These start, signal or cancel workflows. */
export const USES_TEMPORAL: ReadonlySet<ServiceName> = new Set(['drone', 'carrier', 'ingestion']);

export const CommonEnvironment = Type.Object({
  ...ClockEnv,
  HOST: Type.String({ default: '127.0.0.1', description: 'Address to listen on' }),
});

export const TemporalEnvironment = Type.Object({
  TEMPORAL_ADDRESS: Type.String({
    default: '127.0.0.1:7233',
    description: 'host:port of the Temporal frontend',
  }),
  TEMPORAL_NAMESPACE: Type.String({ default: 'drone-delivery', description: 'Namespace of the deliveries' }),
  TEMPORAL_TASK_QUEUE: Type.String({ default: 'deliveries', description: 'Task queue of the workers' }),
  TEMPORAL_TLS: Type.Boolean({ default: false, description: 'Connect with TLS' }),
  TEMPORAL_API_KEY: Type.Optional(Type.String({ description: 'For Temporal Cloud' })),
  PAYLOAD_KEYS: Type.String({
    minLength: 1,
    description: 'id:base64,… keys that encrypt payloads; the first one is used for new ones',
  }),
});

export const AccountEnvironment = Type.Object({
  ACCOUNT_KEY_SECRET: Type.Optional(
    Type.String({
      minLength: 32,
      description:
        'Of which the first API key of a new account is derived, so that a repeated registration can answer it again; ' +
        'the same for every process. Without, that ends with the process',
    }),
  ),
});

export const DroneEnvironment = Type.Object({
  LINK_LOSS_S: Type.Number({
    exclusiveMinimum: 0,
    default: 60,
    description:
      'A dispatched drone that is silent for longer counts as lost; seconds of the delivery’s clock',
  }),
  LINK_LOSS_GRACE_MS: Type.Integer({
    minimum: 0,
    default: 10_000,
    description:
      'On top of it, wall milliseconds: telemetry comes at the wall’s pace however fast the clock runs',
  }),
});

export const DeliveryEnvironment = Type.Object({
  RECIPIENT_SECRETS: Type.Optional(
    Type.String({
      pattern: '^[^,]{32,}(,[^,]{32,})*$',
      description:
        'Of which tracking links and PINs are made; the same for every process. Several, separated by commas: the first ' +
        'makes new ones, all are believed. Without, what recipients were sent ends with the process',
    }),
  ),
});

export const IngestionEnvironment = Type.Object({
  DELIVERY_URL: Type.String({
    default: `http://127.0.0.1:${USUAL_PORT.delivery}`,
    description: 'Where the delivery service listens',
  }),
});

/** The variables of a process that runs these services. */
export function servicesEnvironment(services: readonly ServiceName[]) {
  return Type.Object({
    ...CommonEnvironment.properties,
    ...(Object.assign({}, ...services.map((one) => ownSchema(one).properties)) as TProperties),
    ...(services.some((one) => USES_TEMPORAL.has(one)) && TemporalEnvironment.properties),
    ...(services.includes('account') && AccountEnvironment.properties),
    ...(services.includes('drone') && DroneEnvironment.properties),
    ...(services.includes('delivery') && DeliveryEnvironment.properties),
    ...(services.includes('ingestion') && IngestionEnvironment.properties),
  });
}

/** Of all services together: the role `services`. */
export const ServicesEnvironment = servicesEnvironment(SERVICES);

/** Where a service listens and keeps its data: `DRONE_PORT`, `DRONE_DATABASE_URL`. */
export function ownEnvironment(
  service: ServiceName,
  env: NodeJS.ProcessEnv = process.env,
): { port: number; databaseUrl: string } {
  const parsed = parseEnv(ownSchema(service), env);
  return {
    port: parsed[portVariable(service)] as number,
    databaseUrl: parsed[urlVariable(service)] as string,
  };
}

function portVariable(service: ServiceName): string {
  return `${service.toUpperCase()}_PORT`;
}

function urlVariable(service: ServiceName): string {
  return `${service.toUpperCase()}_DATABASE_URL`;
}

function ownSchema(service: ServiceName) {
  return Type.Object({
    [portVariable(service)]: Type.Integer({
      minimum: 0,
      maximum: 65_535,
      default: USUAL_PORT[service],
      description: `Port of the ${service} service; 0: any free one`,
    }),
    [urlVariable(service)]: Type.String({
      pattern: '^postgres(ql)?://',
      description: `Postgres as the role ${service}_app`,
    }),
  });
}
