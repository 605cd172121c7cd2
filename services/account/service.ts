/** The account service: tenants, their keys, credit and charge. */
import type { FastifyInstance } from 'fastify';
import { randomBytes } from 'node:crypto';
import { clientOptions } from '../../prisma/client-options.ts';
import { PrismaClient } from '../../prisma/account/generated/client.ts';
import { isoTime, LIVE_CLOCK, runningClock } from '../../shared/clock.ts';
import { implement } from '../../shared/http/server.ts';
import { pageOf, pageRequest } from '../../shared/page.ts';
import { Pump } from '../../shared/pump.ts';
import type { ServiceOptions } from '../../shared/service.ts';
import { createServiceApp } from '../app.ts';
import { accountContract } from './contract/index.ts';
import { accountStore } from './data/accounts.ts';
import { authorizationStore } from './data/authorizations.ts';
import { creditNoteStore } from './data/credit-notes.ts';
import { keyStore } from './data/keys.ts';
import { accountRegistry } from './domain/accounts.ts';
import { creditNotes } from './domain/credit-notes.ts';
import { credit } from './domain/credit.ts';

export interface AccountServiceOptions extends ServiceOptions {
  /**
   * Of which first keys are derived, so that a repeated registration can answer the same one: at least 32 random characters,
   * the same for every process. Without it each process makes up its own, and a registration that is repeated after a
   * restart is answered 409 `key_shown_once`.
   */
  keySecret?: string | undefined;
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Lets go of the credit of authorizations that ran out; for a test that moves time itself. */
    lapsePump: { runDue(): Promise<void> };
  }
}

const RECENT_KEYS = 1000;
const LAPSE_EVERY_MS = 30_000;
const LAPSED_AT_ONCE = 100;

export async function buildAccountService(options: AccountServiceOptions): Promise<FastifyInstance> {
  const { logger, databaseUrl, poolSize, wall = Date.now, clock = LIVE_CLOCK } = options;
  const time = runningClock(clock, wall);
  const nowMs = () => time.nowMs();
  const prisma = new PrismaClient(
    clientOptions({
      service: 'account',
      connectionString: databaseUrl,
      ...(poolSize !== undefined && { poolSize }),
      onConnectionLost: (error) => logger.warn({ err: error }, 'lost a database connection'),
    }),
  );
  const app = await createServiceApp(prisma, {
    name: 'account',
    title: 'Account service',
    description: 'Tenants, their keys, credit and charge.',
    logger,
  });

  const accounts = accountStore(prisma);
  const keys = keyStore(prisma);
  const authorizations = authorizationStore(prisma);
  const keySecret = options.keySecret ?? randomBytes(32).toString('hex');
  const registry = accountRegistry({ accounts, keys, keySecret, nowMs, wallMs: wall });
  const steps = credit(authorizations, nowMs);
  const noteStore = creditNoteStore(prisma);
  const notes = creditNotes(noteStore, nowMs);

  implement(app, accountContract, {
    createAccount: ({ body }, { idempotencyKey }) => registry.create(idempotencyKey, body),
    getAccount: ({ params }) => registry.get(params.account_id),
    listAccounts: async ({ query }) => {
      const page = pageRequest('account', query);
      return pageOf(await accounts.page(page), page.limit);
    },
    setAccountState: ({ params, body }) => registry.setState(params.account_id, body),
    ensureAccount: ({ params, body }) => registry.ensure(params.account_id, body),
    ensureKey: ({ body }) => registry.ensureKey(body),
    resolveKey: ({ body }) => registry.resolveKey(body.key),
    revokeKey: async ({ params }) => {
      const revokedAt = await registry.revokeKey(params.key_id);
      return { key_id: params.key_id, revoked_at: isoTime(revokedAt.getTime()) };
    },
    recentKeys: async ({ query }) => ({ data: await keys.recent(query.limit ?? RECENT_KEYS) }),
    authorize: ({ body }, { idempotencyKey }) => steps.authorize(idempotencyKey, body),
    renewAuthorization: ({ body }, { idempotencyKey }) => steps.renew(idempotencyKey, body),
    capture: ({ body }, { idempotencyKey }) => steps.capture(idempotencyKey, body),
    voidAuthorization: ({ body }, { idempotencyKey }) => steps.voidAuthorization(idempotencyKey, body),
    issueCreditNote: ({ body }, { idempotencyKey }) => notes.issue(idempotencyKey, body),
    listCreditNotes: async ({ query }) => {
      const page = pageRequest('creditNote', query);
      const rows = await noteStore.page(page, {
        ...(query.delivery_id !== undefined && { deliveryId: query.delivery_id }),
        ...(query.account_id !== undefined && { accountId: query.account_id }),
      });
      return pageOf(rows, page.limit);
    },
    listAuthorizations: async ({ query }) => {
      const page = pageRequest('authorization', query);
      const rows = await authorizations.page(page, {
        ...(query.state !== undefined && { state: query.state }),
        ...(query.delivery_id !== undefined && { deliveryId: query.delivery_id }),
        ...(query.account_id !== undefined && { accountId: query.account_id }),
      });
      return pageOf(rows, page.limit);
    },
  });
  const pump = new Pump({
    name: 'lapsing of authorizations',
    logger,
    lookEveryMs: LAPSE_EVERY_MS,
    round: async () =>
      (await authorizations.lapse({ nowMs: nowMs(), limit: LAPSED_AT_ONCE })) === LAPSED_AT_ONCE,
  });
  app.decorate('lapsePump', { runDue: () => pump.runDue() });
  app.addHook('onReady', async () => pump.start());
  app.addHook('preClose', () => pump.stop());
  return app;
}
