/** The codec server as a process. */
import { Type } from 'typebox';
import { parseEnv } from '../shared/config.ts';
import { createLogger } from '../shared/logger.ts';
import { runRole } from '../shared/role.ts';
import { EncryptionCodec, parsePayloadKeys } from '../shared/temporal/codec.ts';
import { buildCodecServer } from './codec-server.ts';

const CodecEnv = Type.Object({
  HOST: Type.String({ default: '127.0.0.1' }),
  PORT: Type.Integer({ minimum: 0, maximum: 65535, default: 4200 }),
  /** `id:base64,id:base64`; see shared/temporal/codec.ts. */
  PAYLOAD_KEYS: Type.String(),
  /** What an operator logs in with. */
  OPERATOR_KEY: Type.String({ minLength: 16 }),
  /** Signs the session cookies. */
  CODEC_SECRET: Type.String({ minLength: 16 }),
  TEMPORAL_NAMESPACE: Type.String({ default: 'drone-delivery' }),
  /** The Temporal UI as the operator's browser sees it. */
  TEMPORAL_UI_URL: Type.Optional(Type.String({ pattern: '^https?://' })),
  /** The UI to be shown through this server: `uiUpstream` of the plan. */
  TEMPORAL_UI_UPSTREAM: Type.Optional(Type.String({ pattern: '^https?://' })),
});

const logger = createLogger({ role: 'codec' });

await runRole(logger, async () => {
  const env = parseEnv(CodecEnv);
  const app = await buildCodecServer({
    codec: new EncryptionCodec(parsePayloadKeys(env.PAYLOAD_KEYS)),
    namespace: env.TEMPORAL_NAMESPACE,
    operatorKey: env.OPERATOR_KEY,
    sessionSecret: env.CODEC_SECRET,
    uiUrl: env.TEMPORAL_UI_URL,
    uiUpstream: env.TEMPORAL_UI_UPSTREAM,
    logger,
  });
  const url = await app.listen({ host: env.HOST, port: env.PORT });
  return { url, close: () => app.close() };
});
