/** The open streams of this process: how many each key has, their heartbeat, and their end when the process stops. */
import { Problem } from '../../shared/errors.ts';
import { EventStream, HEARTBEAT_FRAME, retryFrame } from './event-stream.ts';

export interface StreamOptions {
  /** Between two heartbeats, milliseconds. */
  heartbeatMs: number;
  /** Streams of one key at once. */
  perKey: number;
  /** What may wait for a slow reader before it is cut off. */
  maxBufferedBytes: number;
  /** What clients are told to wait before they reconnect, milliseconds. */
  retryMs: number;
}

export const DEFAULT_STREAM_OPTIONS: StreamOptions = {
  heartbeatMs: 15_000,
  perKey: 200,
  maxBufferedBytes: 256 * 1024,
  retryMs: 3_000,
};

export interface Streams {
  /** @throws {Problem} `too-many-requests` when the key has as many as it may. */
  open(keyId: string): EventStream;
  closeAll(): void;
}

const COME_BACK_S = 30;

export function createStreams({ heartbeatMs, perKey, maxBufferedBytes, retryMs }: StreamOptions): Streams {
  const open = new Set<EventStream>();
  const countOf = new Map<string, number>();
  const heartbeat = setInterval(() => {
    for (const stream of open) stream.write(HEARTBEAT_FRAME);
  }, heartbeatMs).unref();

  return {
    open(keyId) {
      const count = countOf.get(keyId) ?? 0;
      if (count >= perKey) {
        throw new Problem('too-many-requests', {
          reason: 'too_many_streams',
          detail: `At most ${perKey} streams at once with one key.`,
          retryAfterS: COME_BACK_S,
        });
      }
      countOf.set(keyId, count + 1);
      const stream = new EventStream(maxBufferedBytes);
      open.add(stream);
      stream.once('close', () => {
        open.delete(stream);
        const left = (countOf.get(keyId) ?? 1) - 1;
        if (left === 0) countOf.delete(keyId);
        else countOf.set(keyId, left);
      });
      stream.write(retryFrame(retryMs));
      return stream;
    },
    closeAll() {
      clearInterval(heartbeat);
      for (const stream of open) stream.finish();
    },
  };
}
