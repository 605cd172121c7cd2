/** The drone that is on a delivery right now, as the drone service knows it. */
import type { Delivery } from '../../services/delivery/contract/index.ts';
import { isOutage, type Services } from '../services.ts';
import type { LiveDrone } from './positions.ts';

/** `none`: no drone is on it. `unavailable`: nobody can be asked right now. */
export type Live = LiveDrone | 'none' | 'unavailable';

export async function liveDroneOf(drone: Services['drone'], delivery: Delivery): Promise<Live> {
  if (delivery.complete || delivery.drone_id === null) return 'none';
  try {
    const { data } = await drone.live({ query: { delivery_id: [delivery.id] } });
    return data[0] ?? 'none';
  } catch (error) {
    if (isOutage(error)) return 'unavailable';
    throw error;
  }
}

/** The flight's own forecast is newer than the promise. */
export function etaWith({ eta }: Delivery, live: Live): Delivery['eta'] {
  if (typeof live === 'string') return eta;
  return {
    ...eta,
    ...(live.eta_pickup_at && { pickup_at: live.eta_pickup_at }),
    ...(live.eta_dropoff_at && { dropoff_at: live.eta_dropoff_at }),
  };
}
