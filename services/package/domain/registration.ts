/** What the steps register and void answer. */
import { isUniqueViolation } from '../../../prisma/database-errors.ts';
import { conflict, Problem } from '../../../shared/errors.ts';
import type { BodyOf, Output } from '../../../shared/http/contract.ts';
import type { packageContract } from '../contract/index.ts';
import type { Registration, RegistrationStore } from '../data/registrations.ts';

type Contract = typeof packageContract;

export function registration(store: RegistrationStore, nowMs: () => number) {
  return {
    /**
     * All packages of a delivery, or none. Tags need not be unique: a package is told from another by its id, its tag is what
     * the sender printed on it, and senders use a tag again.
     * @throws {Problem} `idempotency-key-reused` for other packages; `conflict` `package_exists` for an id that is taken.
     */
    async register(
      stepKey: string,
      body: BodyOf<Contract, 'registerPackages'>,
    ): Promise<Output<Contract['registerPackages']>> {
      const ids = body.packages.map(({ id }) => id);
      assertDistinct(ids);
      if (await write(stepKey, body)) return { outcome: 'registered', package_ids: ids };
      const known = await found(stepKey);
      assertSameDelivery(known, body.delivery_id);
      if (known.state !== 'registered') return { outcome: 'voided', package_ids: [] };
      if (known.packageIds.join() !== ids.join()) {
        throw new Problem('idempotency-key-reused', { detail: 'This step registered other packages.' });
      }
      return { outcome: 'registered', package_ids: known.packageIds };
    },

    async void(
      voidKey: string,
      body: BodyOf<Contract, 'voidPackages'>,
    ): Promise<Output<Contract['voidPackages']>> {
      const { register_key: registerKey, account_id: accountId, delivery_id: deliveryId } = body;
      const done = await store.void({ registerKey, accountId, deliveryId, voidKey, nowMs: nowMs() });
      if (done) return { outcome: done === 'void' ? 'voided' : 'never_registered' };
      const known = await found(registerKey);
      assertSameDelivery(known, deliveryId);
      // A repetition answers what the first call did.
      if (known.voidKey !== voidKey) return { outcome: 'already_voided' };
      return { outcome: known.state === 'void' ? 'voided' : 'never_registered' };
    },
  };

  async function write(stepKey: string, body: BodyOf<Contract, 'registerPackages'>): Promise<boolean> {
    try {
      return await store.register(stepKey, body, nowMs());
    } catch (error) {
      if (!isUniqueViolation(error, 'package_pkey')) throw error;
      throw conflict('package_exists', 'A package with one of these ids is registered already.');
    }
  }

  async function found(stepKey: string): Promise<Registration> {
    const known = await store.find(stepKey);
    if (!known) throw new Error(`The registration ${stepKey} was neither written nor found`);
    return known;
  }
}

function assertDistinct(ids: readonly string[]): void {
  const errors = ids
    .map((id, index) => ({ field: `packages[${index}].id`, isTwice: ids.indexOf(id) < index }))
    .filter(({ isTwice }) => isTwice)
    .map(({ field }) => ({ field, message: 'is the id of another package of this delivery' }));
  if (errors.length > 0)
    throw new Problem('invalid-request', { detail: 'Two packages have the same id.', errors });
}

function assertSameDelivery(known: Registration, deliveryId: string): void {
  if (known.deliveryId !== deliveryId) {
    throw new Problem('idempotency-key-reused', {
      detail: 'This register step belongs to another delivery.',
    });
  }
}
