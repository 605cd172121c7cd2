/** What a caller posts to `POST /v1/deliveries`. The limits are published; a test holds the docs against them. */
import { type Static, Type } from 'typebox';
import { Closed, Money, OneOf, PackageSize, PickupWindow, Stop, Timestamp } from '../../../shared/schemas.ts';
import { CONFIRMATION_KINDS } from '../../delivery/contract/confirmation.ts';

export const RequestedPackage = Closed(
  {
    size: PackageSize,
    weight_kg: Type.Number({ exclusiveMinimum: 0, maximum: 1000 }),
    tag: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 100,
        description: 'Barcode or RFID value; generated when absent',
      }),
    ),
    declared_value: Type.Optional(Money),
  },
  { title: 'RequestedPackage' },
);

export const CreateDeliveryRequest = Closed(
  {
    pickup: Stop,
    dropoff: Stop,
    packages: Type.Array(RequestedPackage, { minItems: 1, maxItems: 20 }),
    external_id: Type.Optional(
      Type.String({ minLength: 1, maxLength: 200, description: 'Your own id, unique per account' }),
    ),
    expedited: Type.Optional(Type.Boolean({ default: false })),
    pickup_window: Type.Optional(PickupWindow),
    deadline: Type.Optional(Timestamp),
    confirmation: Type.Optional(
      OneOf(CONFIRMATION_KINDS, {
        default: 'none',
        description:
          'Proof of delivery. `pin`, `signature`, `barcode`: the drone waits above the dropoff until the recipient has given it by the tracking link; nobody there in time: the package goes back. `photo`: the drone’s own',
      }),
    ),
    undeliverable_action: Type.Optional(OneOf(['return', 'leave'] as const, { default: 'return' })),
    metadata: Type.Optional(
      Type.Record(Type.String({ minLength: 1, maxLength: 40 }), Type.String({ maxLength: 500 }), {
        maxProperties: 50,
        propertyNames: { minLength: 1, maxLength: 40 },
      }),
    ),
    contains_dangerous_goods: Type.Optional(Type.Boolean({ default: false })),
  },
  { title: 'CreateDeliveryRequest' },
);
export type CreateDeliveryRequest = Static<typeof CreateDeliveryRequest>;
