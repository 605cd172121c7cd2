-- AlterTable
ALTER TABLE "waiting_list" ADD COLUMN     "clock" JSONB,
ADD COLUMN     "deliver_by" TIMESTAMPTZ(3),
ADD COLUMN     "pickup_by" TIMESTAMPTZ(3),
ADD COLUMN     "pickup_from" TIMESTAMPTZ(3);

-- From here on by hand: what Prisma's schema cannot say.

-- A time of a delivery's clock says nothing without the clock.
ALTER TABLE "waiting_list"
  ADD CONSTRAINT "waiting_list_appointment_has_clock" CHECK (
    "clock" IS NOT NULL OR ("pickup_from" IS NULL AND "pickup_by" IS NULL AND "deliver_by" IS NULL));
