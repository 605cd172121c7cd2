/** The codec server as a process. */
import { parseEnv } from '../shared/config.ts';
import { createLogger } from '../shared/logger.ts';
import { runRole } from '../shared/role.ts';
import { EncryptionCodec, parsePayloadKeys } from '../shared/temporal/codec.ts';
import { CodecEnvironment } from './codec-server-environment.ts';
import { buildCodecServer } from './codec-server.ts';

const logger = createLogger({ role: 'codec' });

await runRole(logger, async () => {
  const env = parseEnv(CodecEnvironment);
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
