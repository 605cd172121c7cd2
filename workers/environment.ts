/** What a worker is configured with. */
import { type Static, Type } from 'typebox';
import { ClockEnv } from '../shared/config.ts';
import type { DeploymentVersion } from './worker.ts';

const serviceUrl = (service: string, port: number) =>
  Type.String({
    format: 'uri',
    default: `http://127.0.0.1:${port}`,
    description: `Where the ${service} service listens`,
  });

const PROPERTIES = {
  ...ClockEnv,
  HOST: Type.String({ default: '127.0.0.1', description: 'Where health and metrics listen' }),
  PORT: Type.Integer({
    default: 4300,
    minimum: 0,
    maximum: 65535,
    description: 'Port of health and metrics; 0: any free one',
  }),
  TEMPORAL_ADDRESS: Type.String({
    default: '127.0.0.1:7233',
    description: 'host:port of the Temporal frontend',
  }),
  TEMPORAL_NAMESPACE: Type.String({ default: 'drone-delivery', description: 'Namespace of the deliveries' }),
  TEMPORAL_TASK_QUEUE: Type.String({ default: 'deliveries', description: 'Where its work comes from' }),
  TEMPORAL_TLS: Type.Boolean({ default: false, description: 'Connect with TLS' }),
  TEMPORAL_API_KEY: Type.Optional(Type.String({ description: 'For Temporal Cloud' })),
  // The names that Temporal's worker controller for Kubernetes sets.
  TEMPORAL_DEPLOYMENT_NAME: Type.Optional(
    Type.String({
      description:
        'Worker deployment of a cluster that runs several builds side by side: see docs/deploying-workflows.md',
    }),
  ),
  TEMPORAL_WORKER_BUILD_ID: Type.Optional(
    Type.String({ description: 'Which build of that deployment this worker is; needed with its name' }),
  ),
  PAYLOAD_KEYS: Type.String({
    minLength: 1,
    description: 'id:base64,… keys that encrypt payloads; the first one is used for new ones',
  }),
  ACCOUNT_URL: serviceUrl('account', 4101),
  PACKAGE_URL: serviceUrl('package', 4102),
  DRONE_URL: serviceUrl('drone', 4103),
  CARRIER_URL: serviceUrl('carrier', 4104),
  DELIVERY_URL: serviceUrl('delivery', 4105),
  INGESTION_URL: serviceUrl('ingestion', 4106),
  WORKER_MAX_WORKFLOW_TASKS: Type.Integer({ default: 40, minimum: 2, description: 'Workflow tasks at once' }),
  WORKER_MAX_LOCAL_ACTIVITIES: Type.Integer({ default: 80, minimum: 1, description: 'Short steps at once' }),
  WORKER_MAX_ACTIVITIES: Type.Integer({ default: 80, minimum: 1, description: 'Plain steps at once' }),
  WORKER_MAX_CACHED_WORKFLOWS: Type.Integer({
    default: 2000,
    minimum: 1,
    description: 'Deliveries kept in memory between their tasks',
  }),
  RECONCILE_EVERY_S: Type.Integer({
    default: 300,
    minimum: 0,
    description:
      'How often what terminated deliveries left is looked for and undone, seconds; 0: only by hand (npm run audit)',
  }),
  WORKER_SHUTDOWN_GRACE_MS: Type.Integer({
    default: 5000,
    minimum: 0,
    description: 'What running activities get to finish in',
  }),
};

export const WorkerEnvironment = Type.Object(PROPERTIES, {
  dependencies: {
    TEMPORAL_DEPLOYMENT_NAME: ['TEMPORAL_WORKER_BUILD_ID'],
    TEMPORAL_WORKER_BUILD_ID: ['TEMPORAL_DEPLOYMENT_NAME'],
  },
});

/** The version that the worker is to be; undefined: unversioned. */
export function deploymentVersionOf({
  TEMPORAL_DEPLOYMENT_NAME: deploymentName,
  TEMPORAL_WORKER_BUILD_ID: buildId,
}: Static<typeof WorkerEnvironment>): DeploymentVersion | undefined {
  return deploymentName === undefined || buildId === undefined ? undefined : { deploymentName, buildId };
}
