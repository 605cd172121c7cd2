import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { EventStream, frameOf, HEARTBEAT_FRAME, retryFrame } from './event-stream.ts';

function parse(text: string) {
  const events: EventSourceMessage[] = [];
  const comments: string[] = [];
  const retries: number[] = [];
  const parser = createParser({
    onEvent: (event) => events.push(event),
    onComment: (comment) => comments.push(comment),
    onRetry: (retry) => retries.push(retry),
  });
  parser.feed(text);
  return { events, comments, retries };
}

describe('An event stream', () => {
  it('is read by any client of server-sent events', () => {
    const data = { text: 'one\ntwo\r\n\u2028: not a comment', list: [1, { a: null }] };
    const { events, comments, retries } = parse(
      retryFrame(3000) +
        frameOf({ event: 'status', id: 7, data }) +
        HEARTBEAT_FRAME +
        frameOf({ event: 'position', data: 1 }),
    );
    expect(retries).toEqual([3000]);
    expect(comments).toEqual(['heartbeat']);
    expect(events.map(({ event, id }) => ({ event, id }))).toEqual([
      { event: 'status', id: '7' },
      { event: 'position', id: undefined },
    ]);
    expect(JSON.parse(events[0]!.data)).toEqual(data);
  });

  it('gives everything to a reader who keeps up, and ends', async () => {
    const stream = new EventStream(10_000);
    const frames = Array.from({ length: 100 }, (_, n) => frameOf({ event: 'n', data: n }));
    const received: string[] = [];
    stream.on('data', (chunk: Buffer) => received.push(chunk.toString()));
    for (const frame of frames) stream.write(frame);
    stream.finish();
    stream.write('after the end');
    await once(stream, 'end');
    expect(received.join('')).toBe(frames.join(''));
  });

  it('is cut off when its reader does not read', async () => {
    const stream = new EventStream(1000);
    stream.write('x'.repeat(1000));
    expect(stream.destroyed).toBe(false);
    stream.write('x');
    expect(stream.destroyed).toBe(true);
    await once(stream, 'close');
    // Later events find nobody.
    expect(() => stream.write('more')).not.toThrow();
  });
});
