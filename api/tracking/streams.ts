/** The open streams of this process: how many each key has, their heartbeat, and their end when the process stops. */
import type { ServerResponse } from 'node:http';
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
  /**
   * A stream that will be sent as this response.
   * @throws {Problem} `too-many-requests` when the key has as many as it may.
   */
  open(keyId: string, response: ServerResponse): EventStream;
  closeAll(): void;
}

const COME_BACK_S = 30;
/** How long a reader may take for what is left when its stream has ended, milliseconds. */
const LINGER_MS = { usual: 10_000, stopping: 1_000 };

export function createStreams({ heartbeatMs, perKey, maxBufferedBytes, retryMs }: StreamOptions): Streams {
  const open = new Map<ServerResponse, EventStream>();
  const countOf = new Map<string, number>();
  let lingerMs = LINGER_MS.usual;
  const heartbeat = setInterval(() => {
    for (const stream of open.values()) stream.write(HEARTBEAT_FRAME);
  }, heartbeatMs).unref();

  /** A reader who does not take what is left must not hold its connection, nor the end of the process. */
  function linger(response: ServerResponse): void {
    const timer = setTimeout(() => response.destroy(), lingerMs).unref();
    response.once('close', () => clearTimeout(timer));
  }

  return {
    open(keyId, response) {
      const count = countOf.get(keyId) ?? 0;
      if (count >= perKey) {
        throw new Problem('too-many-requests', {
          reason: 'too_many_streams',
          detail: `At most ${perKey} streams at once with one key.`,
          retryAfterS: COME_BACK_S,
        });
      }
      countOf.set(keyId, count + 1);
      const stream = new EventStream(maxBufferedBytes, () => linger(response));
      open.set(response, stream);
      response.once('close', () => {
        open.delete(response);
        stream.destroy();
        const left = (countOf.get(keyId) ?? 1) - 1;
        if (left === 0) countOf.delete(keyId);
        else countOf.set(keyId, left);
      });
      stream.write(retryFrame(retryMs));
      return stream;
    },
    closeAll() {
      clearInterval(heartbeat);
      lingerMs = LINGER_MS.stopping;
      for (const [response, stream] of open) {
        stream.finish();
        // Those that ended before have their usual time yet.
        linger(response);
      }
    },
  };
}
