/** Server-sent events (WHATWG HTML, 9.2) as a readable stream that gives up on a reader who does not keep up. */
import { Readable } from 'node:stream';

export interface ServerSentEvent {
  event: string;
  /** What a client sends back as `Last-Event-ID`. Absent: the client keeps the one before. */
  id?: number;
  data: unknown;
}

/** An event as it goes over the wire. `JSON.stringify` writes no line break, so the data are one line. */
export function frameOf({ event, id, data }: ServerSentEvent): string {
  const idLine = id === undefined ? '' : `id: ${id}\n`;
  return `${idLine}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

export const HEARTBEAT_FRAME = ': heartbeat\n\n';

/** How long a client waits before it reconnects, milliseconds. */
export const retryFrame = (retryMs: number): string => `retry: ${retryMs}\n\n`;

export class EventStream extends Readable {
  readonly #maxBufferedBytes: number;
  readonly #onFinish: () => void;
  #ended = false;

  /**
   * @param maxBufferedBytes what may wait for the reader before it is dropped.
   * @param onFinish called once when nothing more will be written; the reader may not have read it all.
   */
  constructor(maxBufferedBytes: number, onFinish: () => void = () => undefined) {
    super({ highWaterMark: maxBufferedBytes });
    this.#maxBufferedBytes = maxBufferedBytes;
    this.#onFinish = onFinish;
  }

  override _read(): void {
    // Frames come when something happens, not when the reader asks.
  }

  /** Sends a frame. A reader that has let too much pile up is cut off: it reconnects with its `Last-Event-ID`. */
  write(frame: string): void {
    if (this.isOver) return;
    this.push(frame);
    if (this.readableLength > this.#maxBufferedBytes) this.destroy();
  }

  /** Nothing more will be written. */
  get isOver(): boolean {
    return this.#ended || this.destroyed;
  }

  /** Ends the stream after what was written. */
  finish(): void {
    if (this.isOver) return;
    this.#ended = true;
    this.push(null);
    this.#onFinish();
  }
}
