// The api in front of its real services on a real database, each behind a relay that a test can cut; only Temporal is scripted.
import { randomBytes } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { buildApi, type ApiOptions } from '../../api/app.ts';
import { publicContract } from '../../api/contract.ts';
import { BASES, DRONES, MODELS } from '../../local/seed/index.ts';
import { accountContract, type Principal } from '../../services/account/contract/index.ts';
import { buildAccountService } from '../../services/account/service.ts';
import {
  deliveryContract,
  type DeliveryStatus,
  type NewDeliveryEvent,
} from '../../services/delivery/contract/index.ts';
import { buildDeliveryService } from '../../services/delivery/service.ts';
import { aircraftContract, droneContract } from '../../services/drone/contract/index.ts';
import { buildDroneService } from '../../services/drone/service.ts';
import type { CreateDeliveryRequest } from '../../services/ingestion/contract/index.ts';
import { buildIngestionService, type IngestionTuning } from '../../services/ingestion/service.ts';
import { type Client, createClient } from '../../shared/http/client.ts';
import type { AccountId, DeliveryId, DroneId } from '../../shared/ids.ts';
import type { DeliveryWorkflows } from '../../shared/temporal/delivery-workflows.ts';
import { createTestDatabase } from '../support/postgres.ts';
import { silentLogger } from '../support/service.ts';
import { startTcpRelay, type TcpRelay } from '../support/tcp-relay.ts';

export type ServiceKey = 'account' | 'drone' | 'delivery' | 'ingestion';

export interface WorldOptions extends Partial<Omit<ApiOptions, 'services' | 'logger'>> {
  ingestion?: Partial<IngestionTuning>;
}

/** Within reach of the seeded fleet's first base. */
const home = BASES[0]!.location;
export const aRequest = (changes: Partial<CreateDeliveryRequest> = {}): CreateDeliveryRequest => ({
  pickup: { location: { latitude: home.latitude + 0.005, longitude: home.longitude } },
  dropoff: { location: { latitude: home.latitude, longitude: home.longitude + 0.01 } },
  packages: [{ size: 'small', weight_kg: 0.5 }],
  ...changes,
});

const aKey = (name: string) => `dd_test_world_${name}_${randomBytes(12).toString('hex')}`;

export async function startWorld({ ingestion: tuning, ...apiOptions }: WorldOptions = {}) {
  const database = await createTestDatabase();
  const closing: (() => Promise<unknown>)[] = [() => database.drop()];
  const relays = {} as Record<ServiceKey, TcpRelay>;
  const urls = {} as Record<ServiceKey, string>;

  const apps = {} as Record<ServiceKey, FastifyInstance>;
  async function served(name: ServiceKey, app: FastifyInstance): Promise<string> {
    apps[name] = app;
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    const relay = await startTcpRelay(url);
    relays[name] = relay;
    urls[name] = relay.through(url).replace(/\/$/, '');
    closing.push(
      () => app.close(),
      () => relay.close(),
    );
    return url;
  }
  const connect = <
    C extends
      typeof deliveryContract | typeof droneContract | typeof accountContract | typeof aircraftContract,
  >(
    contract: C,
    baseUrl: string,
  ): Client<C> => {
    const client = createClient(contract, { baseUrl });
    closing.push(() => client.close());
    return client;
  };
  const databaseUrl = (name: ServiceKey) => database.services[name].url;
  const options = { logger: silentLogger, poolSize: 4 };
  const temporal = scriptedTemporal();

  const accountUrl = await served(
    'account',
    await buildAccountService({ ...options, databaseUrl: databaseUrl('account') }),
  );
  const deliveryUrl = await served(
    'delivery',
    await buildDeliveryService({ ...options, databaseUrl: databaseUrl('delivery') }),
  );
  const droneUrl = await served(
    'drone',
    await buildDroneService({ ...options, databaseUrl: databaseUrl('drone'), workflows: temporal.workflows }),
  );
  const account = connect(accountContract, accountUrl);
  const delivery = connect(deliveryContract, deliveryUrl);
  const drone = connect(droneContract, droneUrl);
  const aircraft = connect(aircraftContract, droneUrl);
  await served(
    'ingestion',
    await buildIngestionService({
      ...options,
      databaseUrl: databaseUrl('ingestion'),
      // Through the relay: with the delivery service cut, nothing is projected.
      delivery: connect(deliveryContract, urls.delivery),
      workflows: temporal.workflows,
      ...(tuning && { tuning }),
    }),
  );
  await seedDrones(drone);

  async function apiProcess(more: Partial<ApiOptions> = {}) {
    const app = await buildApi({ services: urls, logger: silentLogger, ...apiOptions, ...more });
    const url = await app.listen({ host: '127.0.0.1', port: 0 });
    closing.push(() => app.close());
    return { app, url };
  }
  const { app, url } = await apiProcess();

  async function makeKey(
    role: Principal['role'],
    owner: { accountId?: AccountId; droneId?: DroneId; livemode?: boolean } = {},
  ): Promise<string> {
    const key = aKey(role);
    await account.ensureKey({
      body: {
        key,
        role,
        name: role,
        account_id: owner.accountId ?? null,
        drone_id: owner.droneId ?? null,
        livemode: owner.livemode ?? true,
      },
    });
    return key;
  }

  async function makeAccount(name: string, livemode = true): Promise<{ id: AccountId; key: string }> {
    const { account: made, api_key } = await account.createAccount(
      { body: { name, livemode, credit_limit: { amount: 1_000_000, currency: 'USD' } } },
      { idempotencyKey: aKey('create') },
    );
    return { id: made.id, key: api_key };
  }

  function clientWith(key: string): Client<typeof publicContract> {
    const client = createClient(publicContract, {
      baseUrl: url,
      headers: { authorization: `Bearer ${key}` },
    });
    closing.push(() => client.close());
    return client;
  }

  /** Raw HTTP, for what a typed client cannot say. */
  async function call(method: string, path: string, { key, headers, body, base = url }: CallOptions = {}) {
    const response = await fetch(base + path, {
      method,
      headers: {
        ...(key !== undefined && { authorization: `Bearer ${key}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      text,
      // Whoever reads a field of it knows what was asked.
      json: (text.startsWith('{') ? JSON.parse(text) : {}) as Record<string, unknown> & AnyBody,
    };
  }

  /** The delivery as the read model has it: it is there within moments of its accept. */
  async function projected(id: DeliveryId) {
    const deadlineMs = Date.now() + 10_000;
    for (;;) {
      const found = await delivery.getDelivery({ params: { delivery_id: id } }).catch(() => null);
      if (found) return found;
      if (Date.now() > deadlineMs) throw new Error(`${id} was not projected`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** How many requests a route of a service has answered, by its own metrics. */
  async function answered(name: ServiceKey, route: string): Promise<number> {
    const metric = apps[name].metrics.getSingleMetric('http_request_duration_seconds');
    const { values } = (await metric?.get()) ?? { values: [] };
    return values
      .filter((one) => 'metricName' in one && one.metricName === 'http_request_duration_seconds_count')
      .filter((one) => one.labels['route'] === route)
      .reduce((sum, one) => sum + one.value, 0);
  }

  let steps = 0;
  /** What the workflow would write: events of the timeline. */
  async function append(id: DeliveryId, ...events: (DeliveryStatus | Partial<NewDeliveryEvent>)[]) {
    await projected(id);
    steps += 1;
    await delivery.appendEvents(
      {
        params: { delivery_id: id },
        body: {
          events: events.map((one) => {
            const event = typeof one === 'string' ? { status: one } : one;
            return {
              type: `delivery.${event.status ?? 'noted'}`,
              occurred_at: new Date().toISOString(),
              ...event,
            };
          }),
        },
      },
      { idempotencyKey: `${id}/test/${steps}` },
    );
  }

  return {
    app,
    url,
    relays,
    account,
    delivery,
    drone,
    aircraft,
    temporal,
    apiProcess,
    makeKey,
    makeAccount,
    clientWith,
    call,
    answered,
    projected,
    append,
    async close() {
      for (const close of closing.reverse()) await close();
    },
  };
}

export type World = Awaited<ReturnType<typeof startWorld>>;

interface AnyBody {
  errors?: { field: string; message: string }[];
}

export interface CallOptions {
  key?: string;
  headers?: Record<string, string>;
  /** A string is sent as it is. */
  body?: unknown;
  base?: string;
}

async function seedDrones(drone: Client<typeof droneContract>): Promise<void> {
  for (const model of MODELS) await drone.ensureModel({ params: { model_id: model.id }, body: model });
  for (const base of BASES) await drone.ensureBase({ params: { base_id: base.id }, body: base });
  for (const { id, ...body } of DRONES.slice(0, 3)) {
    await drone.ensureDrone({ params: { drone_id: id }, body });
  }
}

/** Temporal as a test wants it: workflows start, signals arrive, a cancel and a reschedule are answered as told. */
function scriptedTemporal() {
  let cancel: DeliveryWorkflows['cancel'] = async () => 'gone';
  let reschedule: DeliveryWorkflows['reschedule'] = async () => 'gone';
  let dropoff: DeliveryWorkflows['changeDropoff'] = async () => 'gone';
  let order: DeliveryWorkflows['order'] = async () => 'gone';
  const started: DeliveryId[] = [];
  let held: Promise<void> | null = null;
  const workflows: DeliveryWorkflows = {
    start: async (input) => {
      await held;
      started.push(input.deliveryId);
      return 'started';
    },
    tasksWaiting: async () => 0,
    signal: async () => 'signalled',
    cancel: (...args) => cancel(...args),
    reschedule: (...args) => reschedule(...args),
    changeDropoff: (...args) => dropoff(...args),
    order: (...args) => order(...args),
  };
  return {
    workflows,
    started,
    /** Lets starts wait until the returned function is called. */
    holdStarts(): () => void {
      let release: () => void = () => undefined;
      held = new Promise((resolve) => {
        release = resolve;
      });
      return () => {
        held = null;
        release();
      };
    },
    answerReschedule(answer: DeliveryWorkflows['reschedule']) {
      reschedule = answer;
    },
    answerDropoff(answer: DeliveryWorkflows['changeDropoff']) {
      dropoff = answer;
    },
    answerCancel(answer: DeliveryWorkflows['cancel']) {
      cancel = answer;
    },
    answerOrder(answer: DeliveryWorkflows['order']) {
      order = answer;
    },
  };
}
