/** The one logger: JSON lines with the role's name; pretty only when a person asks for it (`LOG_FORMAT=pretty`). */
import { pino, type Logger } from 'pino';

export type { Logger };

export interface LoggerOptions {
  role: string;
  level?: string;
  format?: 'json' | 'pretty';
}

/** Personal data and secrets never reach a log line. */
const REDACTED = [
  'req.headers.authorization',
  'req.headers.cookie',
  '*.contact',
  '*.pickup.contact',
  '*.dropoff.contact',
  '*.api_key',
  '*.key',
];

export function createLogger({
  role,
  level = process.env['LOG_LEVEL'] ?? 'info',
  format = process.env['LOG_FORMAT'] === 'pretty' ? 'pretty' : 'json',
}: LoggerOptions): Logger {
  return pino({
    level,
    base: { role, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: REDACTED, censor: '[redacted]' },
    ...(format === 'pretty' && {
      transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname', singleLine: true } },
    }),
  });
}
