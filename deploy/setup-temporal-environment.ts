/** What `setup-temporal.ts` takes from its environment. */
import { Type } from 'typebox';

export const SetupTemporalEnvironment = Type.Object({
  TEMPORAL_ADDRESS: Type.String({ description: 'host:port of the Temporal frontend' }),
  TEMPORAL_NAMESPACE: Type.String({ default: 'drone-delivery' }),
  TEMPORAL_RETENTION_DAYS: Type.Integer({ default: 7, minimum: 1, maximum: 365 }),
  TEMPORAL_TLS: Type.Boolean({ default: false, description: 'Connect with TLS' }),
  TEMPORAL_API_KEY: Type.Optional(Type.String({ description: 'For Temporal Cloud' })),
});
