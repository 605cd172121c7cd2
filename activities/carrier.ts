import type { carrierContract } from '../services/carrier/contract/index.ts';
import type { Client } from '../shared/http/client.ts';
import type { BodyOf, Output } from '../shared/http/contract.ts';
import type { BookingId } from '../shared/ids.ts';
import { callService, type Keyed } from './call.ts';

type Contract = typeof carrierContract;

/** Steps at the carrier service: the fallback when no drone can do the job. */
export function carrierActivities(carrier: Client<Contract>) {
  return {
    quoteCarrier: ({ key, ...body }: Keyed & BodyOf<Contract, 'quote'>): Promise<Output<Contract['quote']>> =>
      callService(key, (options) => carrier.quote({ body }, options)),

    bookCarrier: ({ key, ...body }: Keyed & BodyOf<Contract, 'book'>): Promise<Output<Contract['book']>> =>
      callService(key, (options) => carrier.book({ body }, options)),

    cancelBooking: ({
      key,
      ...body
    }: Keyed & BodyOf<Contract, 'cancelBooking'>): Promise<Output<Contract['cancelBooking']>> =>
      callService(key, (options) => carrier.cancelBooking({ body }, options)),

    writeOffBooking: ({
      key,
      ...body
    }: Keyed & BodyOf<Contract, 'writeOffBooking'>): Promise<Output<Contract['writeOffBooking']>> =>
      callService(key, (options) => carrier.writeOffBooking({ body }, options)),

    readCarrierMilestones: (input: {
      bookingId: BookingId;
      afterSequence: number;
    }): Promise<Output<Contract['readMilestones']>['data']> =>
      callService(undefined, async (options) => {
        const { data } = await carrier.readMilestones(
          { params: { booking_id: input.bookingId }, query: { after_sequence: input.afterSequence } },
          options,
        );
        return data;
      }),
  };
}
