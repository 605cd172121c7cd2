/** Who calls, and whether the route is for them. Decorates the request with its `principal`. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { Principal } from '../../services/account/contract/index.ts';
import { Problem } from '../../shared/errors.ts';
import type { Keyring } from '../auth/keyring.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose key the request carries. */
    principal: Principal;
  }
}

export interface AuthOptions {
  keyring: Keyring;
  /** Keys that nobody has, tried from one address in a minute, before it has to wait. */
  wrongKeysPerMinute: number;
}

const BEARER = /^Bearer +([\x21-\x7e]{1,500})$/i;
const REALM = 'Bearer realm="drone-delivery"';

async function auth(app: FastifyInstance, { keyring, wrongKeysPerMinute }: AuthOptions): Promise<void> {
  const wrongKeys = app.createRateLimit({
    max: wrongKeysPerMinute,
    timeWindow: 60_000,
    keyGenerator: (request: FastifyRequest) => request.ip,
  });

  // Null until the hook below has run; no handler runs before it.
  app.decorateRequest('principal', null as unknown as Principal);
  app.addHook('onRequest', (request, reply, done) => {
    const key = BEARER.exec(request.headers.authorization ?? '')?.[1];
    if (key === undefined) {
      void reply.header('www-authenticate', REALM);
      done(
        new Problem('unauthorized', {
          detail: 'Send an API key: `Authorization: Bearer <key>`.',
        }),
      );
      return;
    }
    const who = keyring.resolve(key);
    if (who !== null && !(who instanceof Promise)) {
      admit(request, who, done);
      return;
    }
    void identify(request, reply, who).then((principal) => admit(request, principal, done), done);
  });

  /** The slow way: a key that is not known here, or one that nobody has. */
  async function identify(
    request: FastifyRequest,
    reply: FastifyReply,
    who: Promise<Principal | null> | null,
  ): Promise<Principal> {
    const principal = await who;
    if (principal !== null) return principal;
    const tried = await wrongKeys(request);
    if (!tried.isAllowed && tried.isExceeded) {
      throw new Problem('too-many-requests', {
        reason: 'wrong_keys',
        detail: 'Too many keys that nobody has were tried from this address.',
        retryAfterS: tried.ttlInSeconds,
      });
    }
    void reply.header('www-authenticate', `${REALM}, error="invalid_token"`);
    throw new Problem('unauthorized', { detail: 'Nobody has this key, or it was revoked.' });
  }
}

function admit(request: FastifyRequest, principal: Principal, done: (error?: Error) => void): void {
  request.principal = principal;
  const { access } = request.routeOptions.config;
  if (access?.includes(principal.role) === true) done();
  else {
    done(
      new Problem('forbidden', {
        detail: `This is for ${(access ?? []).join(' and ')} keys; yours is a ${principal.role} key.`,
      }),
    );
  }
}

export default fp(auth, { name: 'auth', dependencies: ['@fastify/rate-limit'] });
