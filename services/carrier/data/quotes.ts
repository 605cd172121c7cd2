/** Quotes in the database. The first answer to a quote step is the one that its repetitions get. */
import { isoTime } from '../../../shared/clock.ts';
import type { AccountId, QuoteId } from '../../../shared/ids.ts';
import type { Money } from '../../../shared/schemas.ts';
import type { PrismaClient, Quote as QuoteRow } from '../../../prisma/carrier/generated/client.ts';
import type { CarrierJob, CarrierOffer, CarrierRefusal } from '../domain/adapter.ts';

export interface QuoteStep {
  id: QuoteId;
  stepKey: string;
  accountId: AccountId;
  job: CarrierJob;
  carrier: string;
  answer: CarrierOffer | CarrierRefusal;
  nowMs: number;
}

/** The places and weight of a job: what a booking has to have in common with its quote. */
export type Carried = Pick<
  QuoteRow,
  'pickupLatitude' | 'pickupLongitude' | 'dropoffLatitude' | 'dropoffLongitude' | 'weightKg'
>;

export type JobTimes = Pick<CarrierJob, 'deadlineMs' | 'pickupFromMs' | 'pickupByMs'>;

export interface Quote {
  id: QuoteId;
  accountId: string;
  deliveryId: string;
  carrier: string;
  carried: Carried;
  /** When it has to be where, as it was quoted. */
  times: JobTimes;
  answer: { price: Money; pickupEtaMs: number; dropoffEtaMs: number; expiresAtMs: number } | CarrierRefusal;
}

export function quoteStore(prisma: PrismaClient) {
  return {
    async findByKey(stepKey: string): Promise<Quote | undefined> {
      const row = await prisma.quote.findUnique({ where: { stepKey } });
      return row ? quoteOf(row) : undefined;
    },

    async find(id: QuoteId): Promise<Quote | undefined> {
      const row = await prisma.quote.findUnique({ where: { id } });
      return row ? quoteOf(row) : undefined;
    },

    /** Keeps the answer, unless one stands under the key already. */
    async keep({ id, stepKey, accountId, job, carrier, answer, nowMs }: QuoteStep): Promise<void> {
      const time = (ms: number | null) => (ms === null ? null : new Date(ms));
      await prisma.quote.createMany({
        data: {
          id,
          stepKey,
          accountId,
          deliveryId: job.deliveryId,
          livemode: job.livemode,
          carrier,
          ...carriedOf(job),
          deadline: time(job.deadlineMs),
          pickupFrom: time(job.pickupFromMs),
          pickupBy: time(job.pickupByMs),
          ...('refused' in answer
            ? { outcome: 'refused', refusalReason: answer.refused, refusalDetail: answer.detail }
            : {
                outcome: 'quoted',
                amount: BigInt(answer.price.amount),
                currency: answer.price.currency,
                pickupEta: time(answer.pickupEtaMs),
                dropoffEta: time(answer.dropoffEtaMs),
                expiresAt: time(answer.expiresAtMs),
              }),
          createdAt: isoTime(nowMs),
        },
        skipDuplicates: true,
      });
    },
  };
}

export type QuoteStore = ReturnType<typeof quoteStore>;

export function carriedOf({ pickup, dropoff, weightKg }: CarrierJob): Carried {
  return {
    pickupLatitude: pickup.location.latitude,
    pickupLongitude: pickup.location.longitude,
    dropoffLatitude: dropoff.location.latitude,
    dropoffLongitude: dropoff.location.longitude,
    weightKg,
  };
}

function quoteOf(row: QuoteRow): Quote {
  const { pickupLatitude, pickupLongitude, dropoffLatitude, dropoffLongitude, weightKg } = row;
  return {
    id: row.id as QuoteId,
    accountId: row.accountId,
    deliveryId: row.deliveryId,
    carrier: row.carrier,
    carried: { pickupLatitude, pickupLongitude, dropoffLatitude, dropoffLongitude, weightKg },
    times: {
      deadlineMs: row.deadline?.getTime() ?? null,
      pickupFromMs: row.pickupFrom?.getTime() ?? null,
      pickupByMs: row.pickupBy?.getTime() ?? null,
    },
    answer: answerOf(row),
  };
}

function answerOf(row: QuoteRow): Quote['answer'] {
  const { amount, currency, pickupEta, dropoffEta, expiresAt } = row;
  if (amount !== null && currency !== null && pickupEta && dropoffEta && expiresAt) {
    return {
      price: { amount: Number(amount), currency },
      pickupEtaMs: pickupEta.getTime(),
      dropoffEtaMs: dropoffEta.getTime(),
      expiresAtMs: expiresAt.getTime(),
    };
  }
  return {
    refused: row.refusalReason as CarrierRefusal['refused'],
    detail: row.refusalDetail ?? '',
  };
}
