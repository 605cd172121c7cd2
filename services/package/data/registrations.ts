/**
 * Packages in the database. A register step is one row with its packages; the unique index on the step's key settles steps
 * that arrive twice, late, or at once with their voiding.
 */
import { isoTime } from '../../../shared/clock.ts';
import type { AccountId, DeliveryId, PackageId } from '../../../shared/ids.ts';
import type { PackageSize } from '../../../shared/schemas.ts';
import type { Prisma, PrismaClient } from '../../../prisma/package/generated/client.ts';
import type { BodyOf } from '../../../shared/http/contract.ts';
import type { Package, packageContract } from '../contract/index.ts';

type RegisterBody = BodyOf<typeof packageContract, 'registerPackages'>;

/** What stands under a register step's key. */
export interface Registration {
  deliveryId: string;
  state: 'registered' | 'void' | 'never_registered';
  voidKey: string | null;
  packageIds: PackageId[];
}

export function registrationStore(prisma: PrismaClient) {
  return {
    /** Writes the registration and its packages, all or none. False when something stands under the key already. */
    async register(stepKey: string, body: RegisterBody, nowMs: number): Promise<boolean> {
      const packages = body.packages.map((one, index) => ({
        id: one.id,
        position: index + 1,
        size: one.size,
        weight_kg: one.weight_kg,
        tag: one.tag,
        amount: one.declared_value?.amount ?? null,
        currency: one.declared_value?.currency ?? null,
      }));
      const rows = await prisma.$queryRaw<{ id: bigint }[]>`
        WITH registered AS (
          INSERT INTO registration (step_key, account_id, delivery_id, livemode, state, created_at)
          VALUES (${stepKey}, ${body.account_id}, ${body.delivery_id}, ${body.livemode}, 'registered',
                  ${isoTime(nowMs)}::timestamptz)
          ON CONFLICT (step_key) DO NOTHING
          RETURNING id, account_id, delivery_id, livemode
        ), filled AS (
          INSERT INTO package (id, registration_id, account_id, delivery_id, livemode, position, size, weight_kg, tag,
                               declared_value_amount, declared_value_currency)
          SELECT one.id, registered.id, registered.account_id, registered.delivery_id, registered.livemode, one.position,
                 one.size, one.weight_kg, one.tag, one.amount, one.currency
            FROM registered,
                 jsonb_to_recordset(${JSON.stringify(packages)}::jsonb)
                   AS one(id text, position int, size text, weight_kg double precision, tag text, amount bigint, currency text)
        )
        SELECT id FROM registered`;
      return rows.length > 0;
    },

    async find(stepKey: string): Promise<Registration | undefined> {
      const row = await prisma.registration.findUnique({
        where: { stepKey },
        include: { packages: { select: { id: true }, orderBy: { position: 'asc' } } },
      });
      return row
        ? {
            deliveryId: row.deliveryId,
            state: row.state as Registration['state'],
            voidKey: row.voidKey,
            packageIds: row.packages.map(({ id }) => id as PackageId),
          }
        : undefined;
    },

    /**
     * Voids a registration, or makes sure that the register step will do nothing should it still arrive. The insert waits for
     * a register step that is under way with the same key, and then voids what it did.
     * @returns what this call did; undefined when there was nothing to do, and `find` says why.
     */
    async void(step: {
      registerKey: string;
      accountId: AccountId;
      deliveryId: DeliveryId;
      voidKey: string;
      nowMs: number;
    }): Promise<'void' | 'never_registered' | undefined> {
      const [row] = await prisma.$queryRaw<{ state: 'void' | 'never_registered' }[]>`
        INSERT INTO registration AS it (step_key, account_id, delivery_id, state, void_key, created_at, voided_at)
        VALUES (${step.registerKey}, ${step.accountId}, ${step.deliveryId}, 'never_registered', ${step.voidKey},
                ${isoTime(step.nowMs)}::timestamptz, ${isoTime(step.nowMs)}::timestamptz)
        ON CONFLICT (step_key) DO UPDATE
           SET state = 'void', void_key = excluded.void_key, voided_at = excluded.voided_at
         WHERE it.state = 'registered' AND it.delivery_id = excluded.delivery_id
        RETURNING it.state`;
      return row?.state;
    },

    async findPackage(id: PackageId): Promise<Package | undefined> {
      const row = await prisma.package.findUnique({ where: { id }, include: WITH_STATE });
      return row ? packageOf(row) : undefined;
    },

    async registeredOf(deliveryIds: readonly DeliveryId[]): Promise<Package[]> {
      const rows = await prisma.package.findMany({
        where: { deliveryId: { in: [...deliveryIds] }, registration: { state: 'registered' } },
        include: WITH_STATE,
        orderBy: [{ registrationId: 'asc' }, { position: 'asc' }],
      });
      return rows.map(packageOf);
    },

    /** In the order in which they were registered. */
    async ofDelivery(deliveryId: DeliveryId): Promise<Package[]> {
      const rows = await prisma.package.findMany({
        where: { deliveryId },
        include: WITH_STATE,
        orderBy: [{ registrationId: 'asc' }, { position: 'asc' }],
      });
      return rows.map(packageOf);
    },
  };
}

export type RegistrationStore = ReturnType<typeof registrationStore>;

const WITH_STATE = {
  registration: { select: { stepKey: true, state: true, createdAt: true } },
} satisfies Prisma.PackageInclude;

function packageOf(row: Prisma.PackageGetPayload<{ include: typeof WITH_STATE }>): Package {
  return {
    id: row.id as PackageId,
    account_id: row.accountId as AccountId,
    delivery_id: row.deliveryId as DeliveryId,
    livemode: row.livemode,
    step_key: row.registration.stepKey,
    state: row.registration.state as Package['state'],
    size: row.size as PackageSize,
    weight_kg: row.weightKg,
    tag: row.tag,
    declared_value:
      row.declaredValueAmount === null || row.declaredValueCurrency === null
        ? null
        : { amount: Number(row.declaredValueAmount), currency: row.declaredValueCurrency },
    created_at: isoTime(row.registration.createdAt.getTime()),
  };
}
