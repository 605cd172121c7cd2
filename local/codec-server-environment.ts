/** What the codec server is configured with. */
import { Type } from 'typebox';

export const CodecEnvironment = Type.Object({
  HOST: Type.String({ default: '127.0.0.1', description: 'Address to listen on' }),
  PORT: Type.Integer({
    minimum: 0,
    maximum: 65535,
    default: 4200,
    description: 'Port to listen on; 0 for any that is free',
  }),
  PAYLOAD_KEYS: Type.String({
    description: 'id:base64,… keys that decrypt payloads: those of the workers',
  }),
  OPERATOR_KEY: Type.String({ minLength: 16, description: 'What an operator logs in with' }),
  CODEC_SECRET: Type.String({ minLength: 16, description: 'Signs the session cookies' }),
  TEMPORAL_NAMESPACE: Type.String({
    default: 'drone-delivery',
    description: 'The namespace whose payloads are decrypted; others are refused',
  }),
  TEMPORAL_UI_URL: Type.Optional(
    Type.String({ pattern: '^https?://', description: 'The Temporal UI as the operator’s browser sees it' }),
  ),
  TEMPORAL_UI_UPSTREAM: Type.Optional(
    Type.String({
      pattern: '^https?://',
      description:
        'A Temporal UI to be shown through this server, where it cannot call another origin with cookies',
    }),
  ),
});
