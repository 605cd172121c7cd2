/** What `npm run audit` takes from its environment: where the services and Temporal are, as a worker has it. */
import { Type } from 'typebox';
import { WorkerEnvironment } from '../workers/environment.ts';

const {
  TEMPORAL_ADDRESS,
  TEMPORAL_NAMESPACE,
  TEMPORAL_TASK_QUEUE,
  TEMPORAL_TLS,
  TEMPORAL_API_KEY,
  PAYLOAD_KEYS,
  ACCOUNT_URL,
  PACKAGE_URL,
  DRONE_URL,
  CARRIER_URL,
  DELIVERY_URL,
  INGESTION_URL,
} = WorkerEnvironment.properties;

export const AuditEnvironment = Type.Object({
  TEMPORAL_ADDRESS,
  TEMPORAL_NAMESPACE,
  TEMPORAL_TASK_QUEUE,
  TEMPORAL_TLS,
  TEMPORAL_API_KEY,
  PAYLOAD_KEYS,
  ACCOUNT_URL,
  PACKAGE_URL,
  DRONE_URL,
  CARRIER_URL,
  DELIVERY_URL,
  INGESTION_URL,
});
