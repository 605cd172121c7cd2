/** Services as a process: `services/main.ts account package …` runs those that are named, all when none is. */
import type { FastifyInstance } from 'fastify';
import { isServiceName, SERVICES, type ServiceName } from '../prisma/services.ts';
import { clockFromEnv, ConfigError, parseEnv } from '../shared/config.ts';
import { createClient } from '../shared/http/client.ts';
import { createLogger, type Logger } from '../shared/logger.ts';
import { type RunningRole, runRole } from '../shared/role.ts';
import type { ServiceOptions } from '../shared/service.ts';
import { connectTemporal, type TemporalClient } from '../shared/temporal/client.ts';
import { parsePayloadKeys } from '../shared/temporal/codec.ts';
import { createDataConverter } from '../shared/temporal/data-converter.ts';
import { type DeliveryWorkflows, temporalDeliveryWorkflows } from '../shared/temporal/delivery-workflows.ts';
import { deliveryContract } from './delivery/contract/index.ts';
import { parseRecipientSecrets } from './delivery/contract/recipient.ts';
import {
  AccountEnvironment,
  CommonEnvironment,
  DeliveryEnvironment,
  DroneEnvironment,
  IngestionEnvironment,
  ownEnvironment,
  servicesEnvironment,
  TemporalEnvironment,
  USES_TEMPORAL,
} from './environment.ts';

/** What services that are run together share, made when the first of them needs it. */
interface Shared {
  workflows: () => DeliveryWorkflows;
  deliveryUrl: () => string;
  /** Run after the services have closed. */
  onClosed: (close: () => Promise<void>) => void;
}

type Build = (options: ServiceOptions, shared: Shared) => Promise<FastifyInstance>;

/** A service is loaded only where it is run: a process of one starts sooner and holds less. */
const BUILD: Readonly<Record<ServiceName, Build>> = {
  account: async (options) => {
    const { buildAccountService } = await import('./account/service.ts');
    const { ACCOUNT_KEY_SECRET: keySecret } = parseEnv(AccountEnvironment);
    return buildAccountService({ ...options, keySecret });
  },
  package: async (options) => {
    const { buildPackageService } = await import('./package/service.ts');
    return buildPackageService(options);
  },
  drone: async (options, { workflows }) => {
    const { buildDroneService } = await import('./drone/service.ts');
    const { LINK_LOSS_S, LINK_LOSS_GRACE_MS } = parseEnv(DroneEnvironment);
    const linkLoss = { silenceS: LINK_LOSS_S, telemetryIntervalMs: LINK_LOSS_GRACE_MS };
    return buildDroneService({ ...options, workflows: workflows(), linkLoss });
  },
  carrier: async (options, { workflows }) => {
    const { buildCarrierService } = await import('./carrier/service.ts');
    return buildCarrierService({ ...options, workflows: workflows() });
  },
  delivery: async (options) => {
    const { buildDeliveryService } = await import('./delivery/service.ts');
    const { RECIPIENT_SECRETS: secrets } = parseEnv(DeliveryEnvironment);
    if (secrets === undefined) return buildDeliveryService(options);
    return buildDeliveryService({ ...options, recipientSecrets: parseRecipientSecrets(secrets) });
  },
  ingestion: async (options, { workflows, deliveryUrl, onClosed }) => {
    const { buildIngestionService } = await import('./ingestion/service.ts');
    const delivery = createClient(deliveryContract, { baseUrl: deliveryUrl() });
    onClosed(() => delivery.close());
    return buildIngestionService({ ...options, delivery, workflows: workflows() });
  },
};

/** Each once, in a fixed order. @throws {ConfigError} for a name that is none */
function servicesNamed(names: readonly string[]): readonly ServiceName[] {
  const unknown = names.filter((name) => !isServiceName(name));
  if (unknown.length > 0) {
    throw new ConfigError(`There is no service ${unknown.join(', ')}; there are ${SERVICES.join(', ')}`);
  }
  return names.length === 0 ? SERVICES : SERVICES.filter((service) => names.includes(service));
}

async function start(names: readonly string[], logger: Logger): Promise<RunningRole> {
  const services = servicesNamed(names);
  // Everything that is wrong is named at once; the parts below then only read.
  parseEnv(servicesEnvironment(services));
  const env = parseEnv(CommonEnvironment);
  const closing: (() => Promise<void>)[] = [];
  const temporal = services.some((one) => USES_TEMPORAL.has(one)) ? temporalFromEnv() : undefined;
  const shared: Shared = {
    workflows: () => {
      if (!temporal) throw new Error('This service was not expected to use Temporal');
      return temporal.workflows;
    },
    deliveryUrl: () => parseEnv(IngestionEnvironment).DELIVERY_URL,
    onClosed: (close) => closing.push(close),
  };
  const apps: FastifyInstance[] = [];
  const close = async () => {
    await Promise.all(apps.map((app) => app.close()));
    await Promise.all(closing.map((one) => one()));
    await temporal?.client.close();
  };
  try {
    const urls: string[] = [];
    for (const service of services) {
      const { port, databaseUrl } = ownEnvironment(service);
      const options = { databaseUrl, clock: clockFromEnv(env), logger: logger.child({ service }) };
      const app = await BUILD[service](options, shared);
      apps.push(app);
      const url = await app.listen({ host: env.HOST, port });
      logger.info({ service, url }, 'listening');
      urls.push(url);
    }
    return { url: urls.length === 1 ? (urls[0] ?? null) : null, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Connects to nothing yet: a service accepts while Temporal is down. */
function temporalFromEnv(): { client: TemporalClient; workflows: DeliveryWorkflows } {
  const env = parseEnv(TemporalEnvironment);
  const client = connectTemporal({
    address: env.TEMPORAL_ADDRESS,
    namespace: env.TEMPORAL_NAMESPACE,
    dataConverter: createDataConverter(parsePayloadKeys(env.PAYLOAD_KEYS)),
    identity: `services@${process.pid}`,
    tls: env.TEMPORAL_TLS,
    apiKey: env.TEMPORAL_API_KEY,
  });
  return {
    client,
    workflows: temporalDeliveryWorkflows(async () => client.client, env.TEMPORAL_TASK_QUEUE),
  };
}

const names = process.argv.slice(2);
const logger = createLogger({ role: names.length === 1 ? (names[0] ?? 'services') : 'services' });
await runRole(logger, () => start(names, logger));
