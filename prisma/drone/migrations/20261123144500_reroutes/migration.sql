-- AlterTable
ALTER TABLE "reservations" ADD COLUMN     "next_dropoff_latitude" DOUBLE PRECISION,
ADD COLUMN     "next_dropoff_longitude" DOUBLE PRECISION;

-- CreateTable
CREATE TABLE "reroutes" (
    "step_key" TEXT NOT NULL,
    "delivery_id" TEXT NOT NULL,
    "reservation_id" TEXT,
    "before_latitude" DOUBLE PRECISION,
    "before_longitude" DOUBLE PRECISION,
    "answer" JSONB,
    "decided_at" TIMESTAMPTZ(3) NOT NULL,
    "undone_at" TIMESTAMPTZ(3),

    CONSTRAINT "reroutes_pkey" PRIMARY KEY ("step_key")
);

-- CreateIndex
CREATE INDEX "reroutes_delivery_id_idx" ON "reroutes"("delivery_id");

-- AddForeignKey
ALTER TABLE "reroutes" ADD CONSTRAINT "reroutes_reservation_id_fkey" FOREIGN KEY ("reservation_id") REFERENCES "reservations"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- From here on by hand: what Prisma's schema cannot say.

ALTER TABLE "reservations"
  ADD CONSTRAINT "reservations_next_dropoff_whole" CHECK (
    ("next_dropoff_latitude" IS NULL) = ("next_dropoff_longitude" IS NULL)),
  -- Only what flies is offered another dropoff.
  ADD CONSTRAINT "reservations_next_dropoff_of_a_flight" CHECK (
    "next_dropoff_latitude" IS NULL OR "state" = 'committed');

ALTER TABLE "reroutes"
  ADD CONSTRAINT "reroutes_whole" CHECK (
    ("answer" IS NOT NULL AND "reservation_id" IS NOT NULL
      AND "before_latitude" IS NOT NULL AND "before_longitude" IS NOT NULL)
    OR ("answer" IS NULL AND "undone_at" IS NOT NULL));

REVOKE DELETE ON "reroutes" FROM drone_app;
