/** What the bench asks to be delivered: small packages over a few kilometres round the seeded bases, the same in every run. */
import type { CreateDeliveryRequest } from '../../services/ingestion/contract/index.ts';
import { destination } from '../../shared/geodesy.ts';
import { BASES } from '../../local/seed/index.ts';

/** A generator of numbers in [0, 1), the same sequence for the same seed: mulberry32. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** An endless supply of different jobs. */
export function jobs(seed = 1): () => CreateDeliveryRequest {
  const random = randomNumbers(seed);
  return () => {
    const base = BASES[Math.floor(random() * BASES.length)];
    if (base === undefined) throw new Error('The seed has no base');
    const pickup = destination(base.location, random() * 360, 200 + random() * 1_000);
    const dropoff = destination(pickup, random() * 360, 500 + random() * 1_500);
    return {
      pickup: {
        location: pickup,
        address: '1 Bench Street',
        contact: { name: 'Sender', phone: '+12065550100' },
      },
      dropoff: {
        location: dropoff,
        address: '2 Bench Street',
        contact: { name: 'Recipient', phone: '+12065550101' },
      },
      packages: [{ size: 'small', weight_kg: 1.2 }],
      metadata: { from: 'bench' },
    };
  };
}
