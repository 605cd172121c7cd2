-- CreateTable
CREATE TABLE "quote" (
    "id" TEXT NOT NULL,
    "step_key" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "delivery_id" TEXT NOT NULL,
    "livemode" BOOLEAN NOT NULL,
    "carrier" TEXT NOT NULL,
    "pickup_latitude" DOUBLE PRECISION NOT NULL,
    "pickup_longitude" DOUBLE PRECISION NOT NULL,
    "dropoff_latitude" DOUBLE PRECISION NOT NULL,
    "dropoff_longitude" DOUBLE PRECISION NOT NULL,
    "weight_kg" DOUBLE PRECISION NOT NULL,
    "deadline" TIMESTAMPTZ(3),
    "outcome" TEXT NOT NULL,
    "refusal_reason" TEXT,
    "refusal_detail" TEXT,
    "amount" BIGINT,
    "currency" TEXT,
    "pickup_eta" TIMESTAMPTZ(3),
    "dropoff_eta" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "quote_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "booking" (
    "id" TEXT NOT NULL,
    "step_key" TEXT NOT NULL,
    "quote_id" TEXT,
    "account_id" TEXT NOT NULL,
    "delivery_id" TEXT NOT NULL,
    "livemode" BOOLEAN,
    "state" TEXT NOT NULL,
    "refusal_reason" TEXT,
    "refusal_detail" TEXT,
    "carrier" TEXT,
    "amount" BIGINT,
    "currency" TEXT,
    "pickup_eta" TIMESTAMPTZ(3),
    "dropoff_eta" TIMESTAMPTZ(3),
    "clock" JSONB,
    "sequence" INTEGER NOT NULL DEFAULT 0,
    "next_look_at" TIMESTAMPTZ(3),
    "failed_looks" INTEGER NOT NULL DEFAULT 0,
    "cancel_key" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "booking_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "milestone" (
    "booking_id" TEXT NOT NULL,
    "sequence" INTEGER NOT NULL,
    "account_id" TEXT NOT NULL,
    "livemode" BOOLEAN NOT NULL,
    "state" TEXT NOT NULL,
    "occurred_at" TIMESTAMPTZ(3) NOT NULL,
    "recorded_at" TIMESTAMPTZ(3) NOT NULL,
    "acknowledged_at" TIMESTAMPTZ(3),
    "acknowledgement" TEXT,

    CONSTRAINT "milestone_pkey" PRIMARY KEY ("booking_id","sequence")
);

-- CreateTable
CREATE TABLE "simulated_job" (
    "reference" TEXT NOT NULL,
    "itinerary" JSONB NOT NULL,
    "reached" INTEGER NOT NULL DEFAULT 0,
    "locked_from" INTEGER NOT NULL,
    "cancelled_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "simulated_job_pkey" PRIMARY KEY ("reference")
);

-- CreateTable
CREATE TABLE "simulation" (
    "id" INTEGER NOT NULL DEFAULT 1,
    "available" BOOLEAN NOT NULL DEFAULT true,
    "fail_next_bookings" INTEGER NOT NULL DEFAULT 0,
    "lose_next_answers" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "simulation_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "quote_step_key" ON "quote"("step_key");

-- CreateIndex
CREATE INDEX "quote_delivery_id_idx" ON "quote"("delivery_id");

-- CreateIndex
CREATE UNIQUE INDEX "booking_step_key" ON "booking"("step_key");

-- CreateIndex
CREATE INDEX "booking_delivery_id_idx" ON "booking"("delivery_id");

-- AddForeignKey
ALTER TABLE "booking" ADD CONSTRAINT "booking_quote_id_fkey" FOREIGN KEY ("quote_id") REFERENCES "quote"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "milestone" ADD CONSTRAINT "milestone_booking_id_fkey" FOREIGN KEY ("booking_id") REFERENCES "booking"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- What Prisma's schema cannot say: written by hand from here on.

ALTER TABLE "quote"
  ADD CONSTRAINT "quote_outcome_known" CHECK (
    CASE "outcome"
      WHEN 'quoted' THEN "refusal_reason" IS NULL AND "amount" >= 0 AND "currency" IS NOT NULL
        AND "pickup_eta" IS NOT NULL AND "dropoff_eta" IS NOT NULL AND "expires_at" IS NOT NULL
      WHEN 'refused' THEN "refusal_reason" IS NOT NULL AND "refusal_detail" IS NOT NULL AND "amount" IS NULL
      ELSE false
    END);

ALTER TABLE "booking"
  ADD CONSTRAINT "booking_state_known" CHECK ("state" IN (
    'requested', 'refused', 'never_booked',
    'booked', 'enroute_to_pickup', 'arrived_at_pickup', 'picked_up', 'enroute_to_dropoff', 'arrived_at_dropoff',
    'delivered', 'failed', 'cancelled')),
  ADD CONSTRAINT "booking_of_a_quote" CHECK (
    "state" = 'never_booked' OR ("quote_id" IS NOT NULL AND "livemode" IS NOT NULL AND "clock" IS NOT NULL
      AND "carrier" IS NOT NULL AND "amount" >= 0 AND "currency" IS NOT NULL
      AND "pickup_eta" IS NOT NULL AND "dropoff_eta" IS NOT NULL)),
  ADD CONSTRAINT "booking_refused_with_a_reason" CHECK (("state" = 'refused') = ("refusal_reason" IS NOT NULL)),
  ADD CONSTRAINT "booking_ended_with_a_time" CHECK (
    ("state" IN ('refused', 'never_booked', 'delivered', 'failed', 'cancelled')) = ("ended_at" IS NOT NULL));

-- A booking ends once, whoever is quicker.
CREATE FUNCTION "refuse_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER "booking_ends_once" BEFORE UPDATE OF "state" ON "booking"
  FOR EACH ROW
  WHEN (OLD.state <> NEW.state
    AND (OLD.state IN ('refused', 'never_booked', 'delivered', 'failed', 'cancelled')
      OR (NEW.state = 'cancelled' AND OLD.state IN ('picked_up', 'enroute_to_dropoff', 'arrived_at_dropoff'))))
  EXECUTE FUNCTION "refuse_change"('a booking that has ended stays ended, and one that is picked up is not cancelled');

ALTER TABLE "milestone"
  ADD CONSTRAINT "milestone_sequence_positive" CHECK ("sequence" > 0),
  ADD CONSTRAINT "milestone_acknowledged_how" CHECK (
    ("acknowledged_at" IS NULL) = ("acknowledgement" IS NULL) AND "acknowledgement" IN ('signalled', 'gone'));

-- What the pump asks for: the few bookings that something is still to happen to.
CREATE INDEX "booking_next_look" ON "booking" ("next_look_at") WHERE "next_look_at" IS NOT NULL;

ALTER TABLE "simulated_job"
  ADD CONSTRAINT "simulated_job_cancelled_in_time" CHECK ("cancelled_at" IS NULL OR "reached" < "locked_from");

ALTER TABLE "simulation"
  ADD CONSTRAINT "simulation_is_one" CHECK ("id" = 1),
  ADD CONSTRAINT "simulation_counts_not_negative" CHECK ("fail_next_bookings" >= 0 AND "lose_next_answers" >= 0);
INSERT INTO "simulation" ("id") VALUES (1);
