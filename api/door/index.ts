/**
 * What known data decide before a request is accepted: what no drone of the fleet could ever do, and what we do not carry
 * out. It waits for nobody; whatever may change until the flight (credit, a free drone) is the workflow's to decide.
 */
import { timeMsOf } from '../../shared/clock.ts';
import { distanceM } from '../../shared/geodesy.ts';
import { type FieldError, Problem } from '../../shared/errors.ts';
import type { Location, PackageSize, PickupWindow, Stop } from '../../shared/schemas.ts';
import type { DroneModel } from '../../services/drone/contract/index.ts';
import { ARRIVED_WITHIN_M, legProfile } from '../../services/drone/contract/flight.ts';
import {
  type Delivery,
  isBeforePickup,
  needsRecipient,
  recipientRefusals,
  windowRefusals,
} from '../../services/delivery/contract/index.ts';
import type { CreateDeliveryRequest } from '../../services/ingestion/contract/index.ts';

/** What the fleet can do at best. */
export interface FleetLimits {
  maxPayloadKg: number;
  /** From pickup to dropoff. */
  maxDistanceM: number;
  maxPackageSize: PackageSize;
  models: readonly DroneModel[];
}

/**
 * Every reason not to accept a well-formed request, each with the field it is about; empty: accept.
 * @param limits null while they are not known: then they decide nothing.
 * @param nowMs what the delivery's clock shows.
 */
export function refusals(
  request: CreateDeliveryRequest,
  limits: FleetLimits | null,
  nowMs: number,
): FieldError[] {
  return [
    ...goods(request, limits),
    ...flight(request, limits, nowMs),
    ...window(request, nowMs),
    ...handover(request),
    ...currencies(request),
  ];
}

/** @throws {Problem} `unserviceable`, naming every field that is in the way. */
export function refuse(errors: FieldError[]): never {
  throw new Problem('unserviceable', {
    detail: `This cannot be carried out: ${errors.map((one) => one.field).join(', ')}.`,
    errors,
  });
}

const SIZE_ORDER: readonly PackageSize[] = ['small', 'medium', 'large'];

function goods(request: CreateDeliveryRequest, limits: FleetLimits | null): FieldError[] {
  const errors: FieldError[] = [];
  if (request.contains_dangerous_goods === true) {
    errors.push({
      field: 'contains_dangerous_goods',
      message: 'must be false: dangerous goods are not carried',
    });
  }
  if (limits === null) return errors;
  const weightKg = request.packages.reduce((sum, one) => sum + one.weight_kg, 0);
  if (weightKg > limits.maxPayloadKg) {
    errors.push({
      field: 'packages',
      message: `weigh ${rounded(weightKg)} kg together; the strongest drone carries ${rounded(limits.maxPayloadKg)} kg`,
    });
  }
  const largest = SIZE_ORDER.indexOf(limits.maxPackageSize);
  request.packages.forEach(({ size }, index) => {
    if (SIZE_ORDER.indexOf(size) > largest) {
      errors.push({
        field: `packages[${index}].size`,
        message: `must be at most ${limits.maxPackageSize}: no drone’s bay takes more`,
      });
    }
  });
  return errors;
}

function flight(
  { pickup, dropoff, deadline, pickup_window }: CreateDeliveryRequest,
  limits: FleetLimits | null,
  nowMs: number,
): FieldError[] {
  const errors: FieldError[] = [];
  const distance = distanceM(pickup.location, dropoff.location);
  if (distance < ARRIVED_WITHIN_M) {
    errors.push({ field: 'dropoff.location', message: 'must be another place than the pickup' });
  } else if (limits !== null && distance > limits.maxDistanceM) {
    errors.push({
      field: 'dropoff.location',
      message: `is ${kilometres(distance)} km from the pickup; the longest delivery is ${kilometres(limits.maxDistanceM)} km`,
    });
  }
  if (deadline === undefined) return errors;
  if (timeMsOf(deadline) <= nowMs) {
    return [...errors, { field: 'deadline', message: 'must be in the future' }];
  }
  const lateness = missedDeadline(
    { pickup: pickup.location, dropoff: dropoff.location, deadline, window: pickup_window ?? null },
    limits,
    nowMs,
  );
  return lateness === undefined
    ? errors
    : [...errors, { field: 'deadline', message: `is too soon: ${lateness}` }];
}

/**
 * Why no drone whatever could keep the deadline, in words: it begins when the sender is there, and flies as fast as the fastest. Undefined
 * when one might, or what is wrong is the window itself.
 */
function missedDeadline(
  trip: { pickup: Location; dropoff: Location; deadline: string; window: PickupWindow | null },
  limits: FleetLimits | null,
  nowMs: number,
): string | undefined {
  const { pickup, dropoff, deadline, window } = trip;
  const startMs = window === null ? nowMs : timeMsOf(window.start);
  const leftS = (timeMsOf(deadline) - Math.max(startMs, nowMs)) / 1000;
  const flightS = shortestFlightS(limits, pickup, dropoff);
  if (leftS <= 0 || leftS >= flightS) return undefined;
  const takes = `the flight from pickup to dropoff alone takes ${Math.ceil(flightS)} s`;
  return startMs > nowMs ? `${takes}, from the start of the pickup window on` : takes;
}

/**
 * Every reason why a delivery cannot have another window, or dropoff, as far as known data decide; empty: the workflow says.
 * @param limits and nowMs as for `refusals`
 */
export function changeRefusals(
  { confirmation, status, deadline, pickup, dropoff, pickup_window }: ChangeableDelivery,
  change: { pickup_window: PickupWindow } | { dropoff: Stop },
  limits: FleetLimits | null,
  nowMs: number,
): FieldError[] {
  const to = 'dropoff' in change ? change.dropoff : dropoff;
  const window = 'pickup_window' in change ? change.pickup_window : pickup_window;
  const lateness =
    deadline === null || !isBeforePickup(status)
      ? undefined
      : missedDeadline({ pickup: pickup.location, dropoff: to.location, deadline, window }, limits, nowMs);
  const field = 'dropoff' in change ? 'dropoff.location' : 'pickup_window.start';
  return [
    ...('dropoff' in change ? recipientRefusals(confirmation, change.dropoff) : []),
    ...(lateness === undefined ? [] : [{ field, message: `misses the deadline, ${deadline}: ${lateness}` }]),
  ];
}

type ChangeableDelivery = Pick<
  Delivery,
  'confirmation' | 'status' | 'deadline' | 'pickup' | 'dropoff' | 'pickup_window'
>;

function window({ pickup_window, deadline }: CreateDeliveryRequest, nowMs: number): FieldError[] {
  if (pickup_window === undefined) return [];
  return windowRefusals(pickup_window, { nowMs, deadline: deadline ?? null });
}

/** With the fastest model, already waiting at the pickup; 0 while the models are not known. */
function shortestFlightS(limits: FleetLimits | null, ...[from, to]: Parameters<typeof distanceM>): number {
  if (limits === null || limits.models.length === 0) return 0;
  return Math.min(...limits.models.map((model) => legProfile(model, from, to).durationS));
}

function handover({
  confirmation = 'none',
  undeliverable_action,
  dropoff,
}: CreateDeliveryRequest): FieldError[] {
  const errors = recipientRefusals(confirmation, dropoff);
  if (!needsRecipient(confirmation) || undeliverable_action !== 'leave') return errors;
  return [
    {
      field: 'undeliverable_action',
      message: `must be return with confirmation ${confirmation}: nobody would be there to give it`,
    },
    ...errors,
  ];
}

function currencies({ packages }: CreateDeliveryRequest): FieldError[] {
  return packages.flatMap(({ declared_value }, index) =>
    declared_value === undefined || CURRENCIES.has(declared_value.currency)
      ? []
      : [
          {
            field: `packages[${index}].declared_value.currency`,
            message: `must be a currency of ISO 4217: nobody knows ${declared_value.currency}`,
          },
        ],
  );
}

const CURRENCIES: ReadonlySet<string> = new Set(Intl.supportedValuesOf('currency'));

/** At most three decimals, without trailing zeros. */
const rounded = (value: number): string => String(Math.round(value * 1000) / 1000);
const kilometres = (metres: number): string => rounded(Math.round(metres / 100) / 10);
