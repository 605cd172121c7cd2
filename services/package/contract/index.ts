/** Contract of the package service: what is carried, its tags, and its voiding. */
import { type Static, Type } from 'typebox';
import { defineContract } from '../../../shared/http/contract.ts';
import { idSchema } from '../../../shared/ids.ts';
import { Closed, Money, Nullable, OneOf, PackageSize, Timestamp } from '../../../shared/schemas.ts';

export const PACKAGE_STATES = ['registered', 'void'] as const;

export const Package = Type.Object({
  id: idSchema('package'),
  account_id: idSchema('account'),
  delivery_id: idSchema('delivery'),
  livemode: Type.Boolean(),
  /** The register step's; voiding that voids all packages of it. */
  step_key: Type.String(),
  state: OneOf(PACKAGE_STATES),
  size: PackageSize,
  weight_kg: Type.Number(),
  tag: Type.String(),
  declared_value: Nullable(Money),
  created_at: Timestamp,
});
export type Package = Static<typeof Package>;

export const packageContract = defineContract({
  registerPackages: {
    method: 'POST',
    path: '/packages',
    summary: 'Registers the packages of a delivery, all or none',
    body: Closed({
      account_id: idSchema('account'),
      delivery_id: idSchema('delivery'),
      livemode: Type.Boolean(),
      packages: Type.Array(
        Closed({
          id: idSchema('package'),
          size: PackageSize,
          weight_kg: Type.Number({ exclusiveMinimum: 0 }),
          tag: Type.String({ minLength: 1, maxLength: 100 }),
          declared_value: Type.Optional(Money),
        }),
        { minItems: 1, maxItems: 20 },
      ),
    }),
    response: Closed({
      outcome: OneOf(['registered', 'voided'] as const),
      package_ids: Type.Array(idSchema('package')),
    }),
    idempotent: true,
  },
  voidPackages: {
    method: 'POST',
    path: '/packages/void',
    summary:
      'Voids what the register step with this key did; also when that step never ran or is still under way',
    body: Closed({
      register_key: Type.String(),
      account_id: idSchema('account'),
      delivery_id: idSchema('delivery'),
    }),
    response: Closed({ outcome: OneOf(['voided', 'already_voided', 'never_registered'] as const) }),
    idempotent: true,
  },
  getPackage: {
    method: 'GET',
    path: '/packages/:package_id',
    summary: 'One package',
    params: Closed({ package_id: idSchema('package') }),
    response: Package,
  },
  listRegistered: {
    method: 'GET',
    path: '/packages/registered',
    summary: 'Those packages of these deliveries that are registered and not void',
    query: Closed({ delivery_id: Type.Array(idSchema('delivery'), { minItems: 1, maxItems: 100 }) }),
    response: Closed({ data: Type.Array(Package) }),
  },
  listPackages: {
    method: 'GET',
    path: '/packages',
    summary: 'The packages of a delivery',
    query: Closed({ delivery_id: idSchema('delivery') }),
    response: Closed({ data: Type.Array(Package) }),
  },
});
