/** The examples of the reference page: one delivery across Redmond, told the same way everywhere. */

export const EXAMPLE_IDS = {
  account: 'acc_01h455vb4pex5vsknk084sn02q',
  delivery: 'del_01h455vb4pex5vsknk084sn02q',
  package: 'pkg_01h455vb4pex5vsknk084sn02q',
  drone: 'drn_01h455vb4pex5vsknk084sn02q',
  event: 'evt_01h455vb4pex5vsknk084sn02q',
  reservation: 'rsv_01h455vb4pex5vsknk084sn02q',
} as const;

const PICKUP = {
  location: { latitude: 47.6419, longitude: -122.1265 },
  address: '1 Microsoft Way, Redmond',
  contact: { name: 'Fabrikam dispatch', phone: '+14255550100' },
};
const DROPOFF = {
  location: { latitude: 47.6205, longitude: -122.1493 },
  address: '1 Main Street, Bellevue',
  contact: { name: 'A. Recipient', email: 'recipient@example.com' },
};

export const CREATE_DELIVERY_EXAMPLE = {
  pickup: PICKUP,
  dropoff: DROPOFF,
  packages: [{ size: 'small', weight_kg: 1.2 }],
  external_id: 'order-1042',
  expedited: false,
};

/** One grey pixel. */
export const PNG_EXAMPLE = {
  content_type: 'image/png',
  data: 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==',
};

const price = { amount: 732, currency: 'USD' };

/** As it stands right after the 201. */
export const ACCEPTED_DELIVERY_EXAMPLE = {
  object: 'delivery',
  id: EXAMPLE_IDS.delivery,
  account_id: EXAMPLE_IDS.account,
  livemode: true,
  external_id: 'order-1042',
  pickup: PICKUP,
  dropoff: DROPOFF,
  packages: [{ id: EXAMPLE_IDS.package, size: 'small', weight_kg: 1.2, tag: 'DD-7K2M9Q4T' }],
  expedited: false,
  deadline: null,
  confirmation: 'none',
  undeliverable_action: 'return',
  metadata: {},
  price,
  created_at: '2026-03-01T12:00:00.000Z',
  pickup_window: null,
  status: 'created',
  fulfilment: null,
  drone_id: null,
  booking_id: null,
  attempt: 0,
  eta: { status: 'pending', pickup_at: null, dropoff_at: null },
  cancellation_reason: null,
  failure_reason: null,
  failure_detail: null,
  delayed: false,
  delay_reason: null,
  compensation: 'none',
  charge: null,
  return_price: null,
  left_unattended: false,
  undeliverable_reason: null,
  confirmation_status: 'not_required',
  confirmation_due_at: null,
  complete: false,
  imminent: false,
  sequence: 1,
  interventions: [],
  updated_at: '2026-03-01T12:00:00.000Z',
  ended_at: null,
};

const CONFIRMED_ETA = {
  status: 'confirmed',
  pickup_at: '2026-03-01T12:04:10.000Z',
  dropoff_at: '2026-03-01T12:08:55.000Z',
};

export const DELIVERY_EXAMPLE = {
  ...ACCEPTED_DELIVERY_EXAMPLE,
  status: 'enroute_to_dropoff',
  fulfilment: 'drone',
  drone_id: EXAMPLE_IDS.drone,
  attempt: 1,
  eta: CONFIRMED_ETA,
  sequence: 6,
  updated_at: '2026-03-01T12:05:02.000Z',
};

export const RESCHEDULED_DELIVERY_EXAMPLE = {
  ...ACCEPTED_DELIVERY_EXAMPLE,
  pickup_window: { start: '2026-03-02T09:00:00.000Z', end: '2026-03-02T10:00:00.000Z' },
  status: 'scheduled',
  sequence: 3,
  updated_at: '2026-03-01T12:30:00.000Z',
};

export const CANCELLED_DELIVERY_EXAMPLE = {
  ...ACCEPTED_DELIVERY_EXAMPLE,
  status: 'cancelled',
  cancellation_reason: 'requested_by_sender',
  sequence: 3,
  compensation: 'pending',
  cancellation: { outcome: 'cancelled', detail: null },
};

export const EVENT_EXAMPLE = {
  object: 'event',
  id: EXAMPLE_IDS.event,
  delivery_id: EXAMPLE_IDS.delivery,
  account_id: EXAMPLE_IDS.account,
  livemode: true,
  sequence: 2,
  type: 'delivery.confirmed',
  status: 'confirmed',
  occurred_at: '2026-03-01T12:00:00.240Z',
  recorded_at: '2026-03-01T12:00:00.251Z',
  data: { drone_id: EXAMPLE_IDS.drone },
};

export const TRACKING_EXAMPLE = {
  object: 'tracking',
  delivery_id: EXAMPLE_IDS.delivery,
  status: 'enroute_to_dropoff',
  sequence: 6,
  complete: false,
  imminent: false,
  delayed: false,
  delay_reason: null,
  eta: CONFIRMED_ETA,
  drone_id: EXAMPLE_IDS.drone,
  confirmation_status: 'not_required',
  confirmation_due_at: null,
  position_status: 'live',
  position: {
    location: { latitude: 47.6342, longitude: -122.1344 },
    altitude_m: 80,
    speed_mps: 15.8,
    recorded_at: '2026-03-01T12:06:30.000Z',
    age_s: 1.4,
  },
  updated_at: '2026-03-01T12:05:02.000Z',
};

export const STREAM_EXAMPLE = `retry: 3000

id: 6
event: status
data: {"delivery_id":"${EXAMPLE_IDS.delivery}","sequence":6,"type":"delivery.enroute_to_dropoff","status":"enroute_to_dropoff", …}

event: position
data: {"delivery_id":"${EXAMPLE_IDS.delivery}","location":{"latitude":47.6342,"longitude":-122.1344},"age_s":1.4, …}

: heartbeat

id: 9
event: status
data: {"delivery_id":"${EXAMPLE_IDS.delivery}","sequence":9,"type":"delivery.settled","status":"delivered", …}

event: complete
data: {"delivery_id":"${EXAMPLE_IDS.delivery}","sequence":9,"status":"delivered"}
`;

export const ACCOUNT_EXAMPLE = {
  object: 'account',
  id: EXAMPLE_IDS.account,
  name: 'Northwind Pharmacies',
  livemode: true,
  state: 'active',
  state_reason: null,
  credit_limit: { amount: 500_000, currency: 'USD' },
  authorized: { amount: 732, currency: 'USD' },
  captured: { amount: 0, currency: 'USD' },
  preferences: { carrier_fallback: true, carrier_price_cap: null },
  created_at: '2026-03-01T09:00:00.000Z',
};
