import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MODELS } from '../../local/seed/index.ts';
import { CREATE_DELIVERY_EXAMPLE } from '../contract/examples.ts';
import { canonicalJson, fingerprintOf } from './fingerprint.ts';
import { changeRefusals, type FleetLimits, refusals } from './index.ts';
import type { ConfirmationKind, DeliveryStatus } from '../../services/delivery/contract/index.ts';
import type { CreateDeliveryRequest } from '../../services/ingestion/contract/index.ts';

const NOW_MS = Date.parse('2026-03-01T12:00:00Z');
const LIMITS: FleetLimits = {
  maxPayloadKg: 5,
  maxDistanceM: 20_000,
  maxPackageSize: 'medium',
  models: Object.values(MODELS),
};

const request = (changes: Partial<CreateDeliveryRequest> = {}): CreateDeliveryRequest => ({
  ...CREATE_DELIVERY_EXAMPLE,
  packages: [{ size: 'small', weight_kg: 1.2 }],
  ...changes,
});
const fields = (changes: Partial<CreateDeliveryRequest>, limits: FleetLimits | null = LIMITS) =>
  refusals(request(changes), limits, NOW_MS).map((one) => one.field);
const at = (latitude: number, longitude: number) => ({ location: { latitude, longitude } });
const inSeconds = (seconds: number) => new Date(NOW_MS + seconds * 1000).toISOString();

describe('The door', () => {
  it('accepts what the fleet can do', () => {
    expect(refusals(request({ deadline: inSeconds(3600) }), LIMITS, NOW_MS)).toEqual([]);
  });

  it('names everything that is in the way at once', () => {
    const errors = refusals(
      request({
        packages: [
          { size: 'large', weight_kg: 3 },
          { size: 'small', weight_kg: 2.5, declared_value: { amount: 1, currency: 'QQQ' } },
        ],
        dropoff: at(48.9, -122.1),
        deadline: inSeconds(-1),
        contains_dangerous_goods: true,
        confirmation: 'pin',
        undeliverable_action: 'leave',
      }),
      LIMITS,
      NOW_MS,
    );
    expect(errors.map((one) => one.field)).toEqual([
      'contains_dangerous_goods',
      'packages',
      'packages[0].size',
      'dropoff.location',
      'deadline',
      'undeliverable_action',
      'dropoff.contact',
      'packages[1].declared_value.currency',
    ]);
    expect(errors[1]!.message).toBe('weigh 5.5 kg together; the strongest drone carries 5 kg');
    expect(errors[3]!.message).toMatch(/^is 1\d\d(\.\d)? km from the pickup; the longest delivery is 20 km$/);
  });

  it.each([
    { what: 'a weight of exactly the limit', changes: { packages: [{ size: 'small', weight_kg: 5 }] } },
    { what: 'the largest size that fits', changes: { packages: [{ size: 'medium', weight_kg: 1 }] } },
    { what: 'leaving it where no proof is asked for', changes: { undeliverable_action: 'leave' } },
  ] satisfies { what: string; changes: Partial<CreateDeliveryRequest> }[])('accepts $what', ({ changes }) =>
    expect(fields(changes)).toEqual([]),
  );

  it('refuses a dropoff at the pickup', () => {
    expect(fields({ dropoff: at(47.6419, -122.1265) })).toEqual(['dropoff.location']);
  });

  it('refuses a deadline before the flight alone could end, and accepts one after it', () => {
    // 3 km at 10–30 m/s: certainly more than 90 s, certainly less than an hour.
    expect(fields({ deadline: inSeconds(90) })).toEqual(['deadline']);
    expect(fields({ deadline: inSeconds(3600) })).toEqual([]);
  });

  it('refuses a deadline before the flight alone could end that begins with the pickup window', () => {
    const pickup_window = { start: inSeconds(3600), end: inSeconds(7200) };
    expect(fields({ pickup_window, deadline: inSeconds(3690) })).toEqual(['deadline']);
    expect(fields({ pickup_window, deadline: inSeconds(7200) })).toEqual([]);
    // One that has begun counts from now.
    const begun = { start: inSeconds(-3600), end: inSeconds(3600) };
    expect(fields({ pickup_window: begun, deadline: inSeconds(90) })).toEqual(['deadline']);
    expect(fields({ pickup_window: begun, deadline: inSeconds(1800) })).toEqual([]);
    // Not the deadline but the window is what is wrong here.
    expect(fields({ pickup_window, deadline: inSeconds(3500) })).toEqual(['pickup_window.start']);
  });

  it.each(['pin', 'signature', 'barcode'] as const)(
    'refuses confirmation by %s of a recipient who cannot be reached, or when it is to be left there',
    (confirmation) => {
      const reachable = (contact: CreateDeliveryRequest['dropoff']['contact']) => ({
        confirmation,
        dropoff: { location: request().dropoff.location, ...(contact && { contact }) },
      });
      expect(fields(reachable(undefined))).toEqual(['dropoff.contact']);
      expect(fields(reachable({ name: 'A. Recipient' }))).toEqual(['dropoff.contact']);
      expect(fields(reachable({ phone: '+14255550100' }))).toEqual([]);
      expect(fields(reachable({ email: 'r@example.com' }))).toEqual([]);
      const left = { ...reachable({ email: 'r@example.com' }), undeliverable_action: 'leave' } as const;
      expect(fields(left)).toEqual(['undeliverable_action']);
    },
  );

  it('takes a photo also of what is left there, whoever may be reached', () => {
    expect(fields({ confirmation: 'photo', undeliverable_action: 'leave' })).toEqual([]);
  });

  it.each(['USD', 'EUR', 'JPY'])('knows %s', (currency) => {
    const declared_value = { amount: 1000, currency };
    expect(fields({ packages: [{ size: 'small', weight_kg: 1, declared_value }] })).toEqual([]);
  });

  it('decides nothing by limits that are not known', () => {
    const changes: Partial<CreateDeliveryRequest> = {
      packages: [{ size: 'large', weight_kg: 900 }],
      dropoff: at(0, 0),
      deadline: inSeconds(1),
    };
    expect(fields(changes, null)).toEqual([]);
    expect(fields({ ...changes, deadline: inSeconds(-1) }, null)).toEqual(['deadline']);
  });
});

describe('The door, asked for a change', () => {
  const delivery = {
    confirmation: 'pin' as ConfirmationKind,
    status: 'scheduled' as DeliveryStatus,
    deadline: inSeconds(3600) as string | null,
    pickup: request().pickup,
    dropoff: request().dropoff,
    pickup_window: { start: inSeconds(1800), end: inSeconds(2700) },
  };
  const changed = (
    change: Parameters<typeof changeRefusals>[1],
    of: Partial<typeof delivery> = {},
    limits: FleetLimits | null = LIMITS,
  ) => changeRefusals({ ...delivery, ...of }, change, limits, NOW_MS).map((one) => one.field);
  const contact = { email: 'r@example.com' };

  it('refuses a recipient who cannot be reached, where one has to confirm', () => {
    expect(changed({ dropoff: at(47.63, -122.13) })).toEqual(['dropoff.contact']);
    expect(changed({ dropoff: { ...at(47.63, -122.13), contact } })).toEqual([]);
    expect(changed({ dropoff: at(47.63, -122.13) }, { confirmation: 'photo' })).toEqual([]);
  });

  it('refuses a window, or a dropoff, with which no drone makes the deadline', () => {
    const late = { start: inSeconds(3510), end: inSeconds(3600) };
    expect(changed({ pickup_window: late })).toEqual(['pickup_window.start']);
    expect(changed({ pickup_window: late }, { deadline: null })).toEqual([]);
    expect(changed({ pickup_window: late }, {}, null)).toEqual([]);
    const far = { dropoff: { ...at(48.6, -122.13), contact } };
    expect(changed(far)).toEqual(['dropoff.location']);
    // With the package on its way, what is left to fly is the drone service's to know.
    expect(changed(far, { status: 'enroute_to_dropoff' })).toEqual([]);
  });
});

describe('The fingerprint', () => {
  it('does not depend on the order of fields', () => {
    const shuffled = (value: unknown): unknown =>
      typeof value !== 'object' || value === null || Array.isArray(value)
        ? value
        : Object.fromEntries(
            Object.entries(value)
              .reverse()
              .map(([name, field]) => [name, shuffled(field)]),
          );
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(fingerprintOf(shuffled(value))).toBe(fingerprintOf(value));
      }),
    );
  });

  it('is that of JSON with the same meaning', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('tells any two different requests apart', () => {
    expect(fingerprintOf(request({ expedited: true }))).not.toBe(fingerprintOf(request()));
    expect(fingerprintOf({ a: [1, 2] })).not.toBe(fingerprintOf({ a: [2, 1] }));
    expect(fingerprintOf({ a: '1' })).not.toBe(fingerprintOf({ a: 1 }));
  });

  it('is a SHA-256', () => {
    expect(fingerprintOf({})).toBe('44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a');
  });
});
