-- CreateTable
CREATE TABLE "models" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "empty_mass_kg" DOUBLE PRECISION NOT NULL,
    "max_payload_kg" DOUBLE PRECISION NOT NULL,
    "max_package_size" TEXT NOT NULL,
    "bay_slots" INTEGER NOT NULL,
    "cruise_speed_mps" DOUBLE PRECISION NOT NULL,
    "climb_speed_mps" DOUBLE PRECISION NOT NULL,
    "descent_speed_mps" DOUBLE PRECISION NOT NULL,
    "cruise_altitude_m" DOUBLE PRECISION NOT NULL,
    "battery_capacity_wh" DOUBLE PRECISION NOT NULL,
    "hover_power_w" DOUBLE PRECISION NOT NULL,
    "cruise_power_w" DOUBLE PRECISION NOT NULL,
    "charge_power_w" DOUBLE PRECISION NOT NULL,
    "reserve_fraction" DOUBLE PRECISION NOT NULL,

    CONSTRAINT "models_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "bases" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "latitude" DOUBLE PRECISION NOT NULL,
    "longitude" DOUBLE PRECISION NOT NULL,
    "pads" INTEGER NOT NULL,

    CONSTRAINT "bases_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "drones" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "model_id" TEXT NOT NULL,
    "base_id" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "state_reason" TEXT,
    "state_by" TEXT,
    "reservation_id" TEXT,
    "delivery_id" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "drones_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "drone_state_changes" (
    "id" BIGSERIAL NOT NULL,
    "drone_id" TEXT NOT NULL,
    "from_state" TEXT NOT NULL,
    "to_state" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "by" TEXT NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "drone_state_changes_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "positions" (
    "drone_id" TEXT NOT NULL,
    "latitude" DOUBLE PRECISION NOT NULL,
    "longitude" DOUBLE PRECISION NOT NULL,
    "altitude_m" DOUBLE PRECISION NOT NULL,
    "battery" DOUBLE PRECISION NOT NULL,
    "speed_mps" DOUBLE PRECISION NOT NULL,
    "flight_mode" TEXT NOT NULL,
    "recorded_at" TIMESTAMPTZ(3),
    "heard_wall" TIMESTAMPTZ(3),

    CONSTRAINT "positions_pkey" PRIMARY KEY ("drone_id")
);

-- CreateTable
CREATE TABLE "telemetry" (
    "drone_id" TEXT NOT NULL,
    "recorded_at" TIMESTAMPTZ(3) NOT NULL,
    "latitude" DOUBLE PRECISION NOT NULL,
    "longitude" DOUBLE PRECISION NOT NULL,
    "altitude_m" REAL NOT NULL,
    "speed_mps" REAL NOT NULL,
    "battery" REAL NOT NULL,
    "flight_mode" TEXT NOT NULL,

    CONSTRAINT "telemetry_pkey" PRIMARY KEY ("drone_id","recorded_at")
);

-- CreateTable
CREATE TABLE "assignments" (
    "step_key" TEXT NOT NULL,
    "delivery_id" TEXT NOT NULL,
    "account_id" TEXT,
    "livemode" BOOLEAN,
    "outcome" TEXT NOT NULL,
    "reason" TEXT,
    "detail" TEXT NOT NULL,
    "candidates" JSON NOT NULL,
    "decided_at" TIMESTAMPTZ(3) NOT NULL,
    "released_at" TIMESTAMPTZ(3),

    CONSTRAINT "assignments_pkey" PRIMARY KEY ("step_key")
);

-- CreateTable
CREATE TABLE "reservations" (
    "id" TEXT NOT NULL,
    "step_key" TEXT NOT NULL,
    "token" INTEGER NOT NULL,
    "delivery_id" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "livemode" BOOLEAN NOT NULL,
    "drone_id" TEXT NOT NULL,
    "base_id" TEXT NOT NULL,
    "clock" JSONB NOT NULL,
    "pickup_latitude" DOUBLE PRECISION NOT NULL,
    "pickup_longitude" DOUBLE PRECISION NOT NULL,
    "dropoff_latitude" DOUBLE PRECISION NOT NULL,
    "dropoff_longitude" DOUBLE PRECISION NOT NULL,
    "payload_kg" DOUBLE PRECISION NOT NULL,
    "distance_m" DOUBLE PRECISION NOT NULL,
    "eta_pickup_at" TIMESTAMPTZ(3) NOT NULL,
    "eta_dropoff_at" TIMESTAMPTZ(3) NOT NULL,
    "eta_home_at" TIMESTAMPTZ(3) NOT NULL,
    "state" TEXT NOT NULL,
    "loading" TEXT NOT NULL,
    "load_token" TEXT,
    "phase" TEXT NOT NULL,
    "aboard" BOOLEAN NOT NULL,
    "job_done" BOOLEAN NOT NULL,
    "lease_expires_at" TIMESTAMPTZ(3) NOT NULL,
    "lease_wall" TIMESTAMPTZ(3) NOT NULL,
    "recalled_at" TIMESTAMPTZ(3),
    "ended_at" TIMESTAMPTZ(3),
    "end_reason" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "mission_id" TEXT,
    "mission_version" INTEGER NOT NULL,
    "pickup_wait_s" DOUBLE PRECISION,
    "dropoff_hover_s" DOUBLE PRECISION,
    "silence_ms" DOUBLE PRECISION NOT NULL,
    "heard_wall" TIMESTAMPTZ(3),
    "link_lost_at" TIMESTAMPTZ(3),
    "last_aircraft_sequence" INTEGER NOT NULL,
    "last_sequence" INTEGER NOT NULL,
    "signalled_sequence" INTEGER NOT NULL,
    "signal_claimed_by" TEXT,
    "signal_claimed_wall" TIMESTAMPTZ(3),
    "revision" INTEGER NOT NULL,

    CONSTRAINT "reservations_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "missions" (
    "id" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "reservation_id" TEXT NOT NULL,
    "step_key" TEXT,
    "command" TEXT NOT NULL,
    "legs" JSONB NOT NULL,
    "eta" JSONB,
    "issued_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "missions_pkey" PRIMARY KEY ("id","version")
);

-- CreateTable
CREATE TABLE "milestones" (
    "id" BIGSERIAL NOT NULL,
    "reservation_id" TEXT NOT NULL,
    "reservation_token" INTEGER NOT NULL,
    "aircraft_sequence" INTEGER,
    "sequence" INTEGER,
    "kind" TEXT NOT NULL,
    "drone_id" TEXT NOT NULL,
    "delivery_id" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "livemode" BOOLEAN NOT NULL,
    "occurred_at" TIMESTAMPTZ(3) NOT NULL,
    "recorded_at" TIMESTAMPTZ(3) NOT NULL,
    "latitude" DOUBLE PRECISION,
    "longitude" DOUBLE PRECISION,
    "detail" JSONB NOT NULL,

    CONSTRAINT "milestones_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "waiting_list" (
    "delivery_id" TEXT NOT NULL,
    "step_key" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "livemode" BOOLEAN NOT NULL,
    "expedited" BOOLEAN NOT NULL,
    "pickup_latitude" DOUBLE PRECISION NOT NULL,
    "pickup_longitude" DOUBLE PRECISION NOT NULL,
    "dropoff_latitude" DOUBLE PRECISION NOT NULL,
    "dropoff_longitude" DOUBLE PRECISION NOT NULL,
    "payload_kg" DOUBLE PRECISION NOT NULL,
    "package_sizes" TEXT[],
    "exclude_drone_ids" TEXT[],
    "joined_wall" TIMESTAMPTZ(3) NOT NULL,
    "offered_drone_id" TEXT,
    "offered_wall" TIMESTAMPTZ(3),
    "offers" INTEGER NOT NULL,
    "signal_due_wall" TIMESTAMPTZ(3),

    CONSTRAINT "waiting_list_pkey" PRIMARY KEY ("delivery_id")
);

-- CreateIndex
CREATE UNIQUE INDEX "drones_reservation_id_key" ON "drones"("reservation_id");

-- CreateIndex
CREATE INDEX "drones_state_idx" ON "drones"("state");

-- CreateIndex
CREATE INDEX "drones_base_id_idx" ON "drones"("base_id");

-- CreateIndex
CREATE INDEX "drone_state_changes_drone_id_id_idx" ON "drone_state_changes"("drone_id", "id");

-- CreateIndex
CREATE INDEX "telemetry_recorded_at_idx" ON "telemetry" USING BRIN ("recorded_at");

-- CreateIndex
CREATE INDEX "assignments_delivery_id_decided_at_idx" ON "assignments"("delivery_id", "decided_at");

-- CreateIndex
CREATE UNIQUE INDEX "reservations_step_key_key" ON "reservations"("step_key");

-- CreateIndex
CREATE INDEX "reservations_drone_id_idx" ON "reservations"("drone_id");

-- CreateIndex
CREATE UNIQUE INDEX "reservations_delivery_id_token_key" ON "reservations"("delivery_id", "token");

-- CreateIndex
CREATE UNIQUE INDEX "missions_step_key_key" ON "missions"("step_key");

-- CreateIndex
CREATE UNIQUE INDEX "missions_reservation_id_version_key" ON "missions"("reservation_id", "version");

-- CreateIndex
CREATE UNIQUE INDEX "milestones_reservation_id_aircraft_sequence_key" ON "milestones"("reservation_id", "aircraft_sequence");

-- CreateIndex
CREATE UNIQUE INDEX "milestones_reservation_id_sequence_key" ON "milestones"("reservation_id", "sequence");

-- CreateIndex
CREATE UNIQUE INDEX "waiting_list_step_key_key" ON "waiting_list"("step_key");

-- CreateIndex
CREATE INDEX "waiting_list_offered_drone_id_idx" ON "waiting_list"("offered_drone_id");

-- AddForeignKey
ALTER TABLE "drones" ADD CONSTRAINT "drones_model_id_fkey" FOREIGN KEY ("model_id") REFERENCES "models"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "drones" ADD CONSTRAINT "drones_base_id_fkey" FOREIGN KEY ("base_id") REFERENCES "bases"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "drones" ADD CONSTRAINT "drones_reservation_id_fkey" FOREIGN KEY ("reservation_id") REFERENCES "reservations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "drone_state_changes" ADD CONSTRAINT "drone_state_changes_drone_id_fkey" FOREIGN KEY ("drone_id") REFERENCES "drones"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "positions" ADD CONSTRAINT "positions_drone_id_fkey" FOREIGN KEY ("drone_id") REFERENCES "drones"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "reservations" ADD CONSTRAINT "reservations_step_key_fkey" FOREIGN KEY ("step_key") REFERENCES "assignments"("step_key") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "reservations" ADD CONSTRAINT "reservations_drone_id_fkey" FOREIGN KEY ("drone_id") REFERENCES "drones"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "missions" ADD CONSTRAINT "missions_reservation_id_fkey" FOREIGN KEY ("reservation_id") REFERENCES "reservations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "milestones" ADD CONSTRAINT "milestones_reservation_id_fkey" FOREIGN KEY ("reservation_id") REFERENCES "reservations"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- What Prisma's schema cannot say: the invariants, guarded where no bug can pass them.

-- A drone has at most one open reservation.
CREATE UNIQUE INDEX "reservations_one_open_per_drone" ON "reservations" ("drone_id")
  WHERE "state" IN ('held', 'committed');
-- A delivery has at most one reservation under which a package can be, or become, loaded.
CREATE UNIQUE INDEX "reservations_one_loadable_per_delivery" ON "reservations" ("delivery_id")
  WHERE "state" IN ('held', 'committed') AND "loading" <> 'barred';

-- What the sweeps look for.
CREATE INDEX "reservations_held" ON "reservations" ("lease_wall") WHERE "state" = 'held';
CREATE INDEX "reservations_to_signal" ON "reservations" ("id") WHERE "signalled_sequence" < "last_sequence";

ALTER TABLE "drones"
  ADD CONSTRAINT "drones_state_known" CHECK ("state" IN
    ('idle', 'held', 'committed', 'returning', 'charging', 'maintenance', 'grounded', 'lost')),
  ADD CONSTRAINT "drones_free_without_reservation" CHECK (
    "state" NOT IN ('idle', 'charging', 'maintenance') OR "reservation_id" IS NULL),
  ADD CONSTRAINT "drones_busy_with_reservation" CHECK (
    "state" NOT IN ('held', 'committed', 'returning') OR "reservation_id" IS NOT NULL),
  ADD CONSTRAINT "drones_delivery_of_reservation" CHECK (("reservation_id" IS NULL) = ("delivery_id" IS NULL));

ALTER TABLE "positions"
  ADD CONSTRAINT "positions_battery" CHECK ("battery" BETWEEN 0 AND 1);

ALTER TABLE "assignments"
  ADD CONSTRAINT "assignments_outcome_known" CHECK ("outcome" IN ('reserved', 'unavailable', 'infeasible', 'released')),
  ADD CONSTRAINT "assignments_tenant" CHECK (
    "outcome" = 'released' OR ("account_id" IS NOT NULL AND "livemode" IS NOT NULL));

ALTER TABLE "reservations"
  ADD CONSTRAINT "reservations_state_known" CHECK ("state" IN ('held', 'committed', 'released', 'expired', 'ended')),
  ADD CONSTRAINT "reservations_loading_known" CHECK ("loading" IN ('none', 'granted', 'loaded', 'barred')),
  ADD CONSTRAINT "reservations_phase_known" CHECK ("phase" IN
    ('on_base', 'to_pickup', 'at_pickup', 'loaded', 'to_dropoff', 'at_dropoff', 'to_return', 'at_return', 'homeward', 'down')),
  ADD CONSTRAINT "reservations_token_positive" CHECK ("token" >= 1),
  -- Open until landed and empty.
  ADD CONSTRAINT "reservations_aboard_is_committed" CHECK (
    NOT "aboard" OR ("state" = 'committed' AND "loading" = 'loaded')),
  ADD CONSTRAINT "reservations_mission_when_committed" CHECK (
    "state" <> 'committed' OR ("mission_id" IS NOT NULL AND "mission_version" >= 1)),
  ADD CONSTRAINT "reservations_load_token_when_granted" CHECK (
    "loading" NOT IN ('granted', 'loaded') OR "load_token" IS NOT NULL),
  ADD CONSTRAINT "reservations_ended_at" CHECK (
    ("state" IN ('released', 'expired', 'ended')) = ("ended_at" IS NOT NULL)),
  ADD CONSTRAINT "reservations_signals_in_order" CHECK ("signalled_sequence" BETWEEN 0 AND "last_sequence");

-- The pickup race is decided once: no way leads back from `barred` or `loaded`.
CREATE FUNCTION "guard_loading"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD."loading", NEW."loading") NOT IN
     (('none', 'granted'), ('none', 'barred'), ('granted', 'loaded'), ('granted', 'barred')) THEN
    RAISE EXCEPTION 'Reservation %: loading cannot go from % to %', OLD."id", OLD."loading", NEW."loading"
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER "guard_loading" BEFORE UPDATE OF "loading" ON "reservations"
  FOR EACH ROW WHEN (OLD."loading" IS DISTINCT FROM NEW."loading") EXECUTE FUNCTION "guard_loading"();

-- A state that has ended stays as it is, and so does a token.
CREATE FUNCTION "guard_reservation_end"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'Reservation %: % cannot become %', OLD."id", OLD."state", NEW."state"
    USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER "guard_reservation_end" BEFORE UPDATE OF "state", "token" ON "reservations"
  FOR EACH ROW WHEN (
    OLD."token" <> NEW."token"
    OR (OLD."state" IN ('released', 'expired', 'ended') AND OLD."state" <> NEW."state")
    OR (OLD."state" = 'committed' AND NEW."state" NOT IN ('committed', 'ended'))
  ) EXECUTE FUNCTION "guard_reservation_end"();

-- Facts are only ever added.
REVOKE UPDATE, DELETE ON "milestones", "drone_state_changes" FROM drone_app;

-- Written once a second for each drone: room on the page keeps these updates out of the indexes.
ALTER TABLE "positions" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
ALTER TABLE "reservations" SET (fillfactor = 80);
ALTER TABLE "drones" SET (fillfactor = 80);
