/** How many requests a route takes a second when it is given all that it can take: autocannon, a closed loop. */
import autocannon from 'autocannon';
import { randomUUID } from 'node:crypto';

export interface PostTarget {
  url: string;
  headers: Record<string, string>;
  /** The next request's body. */
  body: () => object;
}

export interface Throughput {
  perSecond: number;
  p99Ms: number;
  answered: number;
}

const CONNECTIONS = 64;

/** @throws when a request was not answered with 2xx */
export async function maxThroughput(target: PostTarget, options: { durationS: number }): Promise<Throughput> {
  const { origin, pathname } = new URL(target.url);
  const result = await autocannon({
    url: origin,
    connections: CONNECTIONS,
    duration: options.durationS,
    requests: [
      {
        method: 'POST',
        path: pathname,
        setupRequest: (request) => ({
          ...request,
          headers: { ...request.headers, ...target.headers, ...uniqueHeaders() },
          body: JSON.stringify(target.body()),
        }),
      },
    ],
  });
  if (result.errors > 0 || result.non2xx > 0) {
    const statuses = JSON.stringify(result.statusCodeStats ?? {});
    throw new Error(`${target.url}: ${result.errors} errors, ${result.non2xx} refused: ${statuses}`);
  }
  const answered = result['2xx'];
  return { perSecond: answered / result.duration, p99Ms: result.latency.p99, answered };
}

/** What a careful caller sends with every post. */
export function uniqueHeaders(): Record<string, string> {
  return { 'content-type': 'application/json', 'idempotency-key': randomUUID() };
}
