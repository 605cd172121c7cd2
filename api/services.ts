/** The services behind the door, as typed clients whose failures are fit to be shown to a caller. */
import { accountContract } from '../services/account/contract/index.ts';
import { deliveryContract } from '../services/delivery/contract/index.ts';
import { aircraftContract, droneContract } from '../services/drone/contract/index.ts';
import { ingestionContract } from '../services/ingestion/contract/index.ts';
import { Problem } from '../shared/errors.ts';
import { type Client, type ClientOptions, createClient } from '../shared/http/client.ts';
import type { Contract } from '../shared/http/contract.ts';

/** Where each service listens. */
export interface ServiceUrls {
  account: string;
  drone: string;
  delivery: string;
  ingestion: string;
}

export interface Services {
  account: Client<typeof accountContract>;
  drone: Client<typeof droneContract>;
  aircraft: Client<typeof aircraftContract>;
  delivery: Client<typeof deliveryContract>;
  /** The one long poll of the event feed. */
  feed: Client<Pick<typeof deliveryContract, 'readFeed'>>;
  ingestion: Client<typeof ingestionContract>;
  close(): Promise<void>;
}

/** Reads must fail over or fail fast; a person waits for them. */
const READ_TIMEOUT_MS = 3_000;
/** Ingestion waits for a workflow's answer to a cancel. */
const COMMAND_TIMEOUT_MS = 15_000;
/** Every drone holds a long poll for its mission. */
const AIRCRAFT_CONNECTIONS = 4_096;

export function connectServices(urls: ServiceUrls): Services {
  const connect = <C extends Contract>(name: string, contract: C, options: ClientOptions): Client<C> =>
    presentable(name, createClient(contract, options));
  const { readFeed } = deliveryContract;
  const services = {
    account: connect('account', accountContract, { baseUrl: urls.account, timeoutMs: READ_TIMEOUT_MS }),
    drone: connect('drone', droneContract, { baseUrl: urls.drone, timeoutMs: READ_TIMEOUT_MS }),
    aircraft: connect('drone', aircraftContract, {
      baseUrl: urls.drone,
      connections: AIRCRAFT_CONNECTIONS,
    }),
    delivery: connect('delivery', deliveryContract, { baseUrl: urls.delivery, timeoutMs: READ_TIMEOUT_MS }),
    feed: connect('delivery', { readFeed }, { baseUrl: urls.delivery, connections: 2 }),
    ingestion: connect('ingestion', ingestionContract, {
      baseUrl: urls.ingestion,
      timeoutMs: COMMAND_TIMEOUT_MS,
    }),
  };
  return {
    ...services,
    close: async () => {
      await Promise.all(Object.values(services).map((client) => client.close()));
    },
  };
}

/** The service cannot answer now, as opposed to answering something unwelcome. */
export function isOutage(error: unknown): boolean {
  return error instanceof Problem && error.status >= 500;
}

const RETRY_AFTER_S = 2;

/** The client with failures that say what a caller can do, and nothing of addresses and inner routes. */
function presentable<C extends Contract>(name: string, client: Client<C>): Client<C> {
  return Object.fromEntries(
    Object.entries(client as Record<string, (...args: unknown[]) => Promise<unknown>>).map(
      ([operation, call]) => [
        operation,
        operation === 'close'
          ? call
          : (...args: unknown[]) =>
              call(...args).catch((error: unknown) => {
                throw presentableError(name, error);
              }),
      ],
    ),
  ) as unknown as Client<C>;
}

function presentableError(name: string, error: unknown): unknown {
  if (!(error instanceof Problem) || error.status < 500) return error;
  if (error.status === 503 || error.slug === 'unavailable' || error.slug === 'timeout') {
    return new Problem('unavailable', {
      detail:
        error.slug === 'timeout'
          ? `The ${name} service did not answer in time. Whether it acted is not known; with an Idempotency-Key a repetition is safe.`
          : `The ${name} service is not available right now.`,
      retryAfterS: error.retryAfterS ?? RETRY_AFTER_S,
      cause: error,
    });
  }
  return new Problem('internal', { detail: `The ${name} service failed.`, cause: error });
}
