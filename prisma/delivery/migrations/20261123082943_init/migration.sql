-- CreateTable
CREATE TABLE "deliveries" (
    "id" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "livemode" BOOLEAN NOT NULL,
    "external_id" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "requested" JSONB NOT NULL,
    "personal" JSONB,
    "status" TEXT NOT NULL,
    "sequence" INTEGER NOT NULL,
    "drone_id" TEXT,
    "complete" BOOLEAN NOT NULL,
    "open_interventions" INTEGER NOT NULL,
    "state" JSONB NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "deliveries_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "delivery_events" (
    "delivery_id" TEXT NOT NULL,
    "sequence" INTEGER NOT NULL,
    "id" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "livemode" BOOLEAN NOT NULL,
    "type" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "occurred_at" TIMESTAMPTZ(3) NOT NULL,
    "recorded_at" TIMESTAMPTZ(3) NOT NULL,
    "data" JSONB NOT NULL,
    "state" JSONB NOT NULL,
    "step_key" TEXT,
    "step_size" INTEGER,

    CONSTRAINT "delivery_events_pkey" PRIMARY KEY ("delivery_id","sequence")
);

-- CreateTable
CREATE TABLE "unplaced_events" (
    "ticket" BIGSERIAL NOT NULL,
    "delivery_id" TEXT NOT NULL,
    "sequence" INTEGER NOT NULL,

    CONSTRAINT "unplaced_events_pkey" PRIMARY KEY ("ticket")
);

-- CreateTable
CREATE TABLE "feed_entries" (
    "position" BIGINT NOT NULL,
    "delivery_id" TEXT NOT NULL,
    "sequence" INTEGER NOT NULL,

    CONSTRAINT "feed_entries_pkey" PRIMARY KEY ("position")
);

-- CreateTable
CREATE TABLE "feed_head" (
    "id" INTEGER NOT NULL,
    "position" BIGINT NOT NULL,

    CONSTRAINT "feed_head_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "deliveries_of_account" ON "deliveries"("account_id", "livemode", "id" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "delivery_events_id" ON "delivery_events"("id");

-- CreateIndex
CREATE UNIQUE INDEX "feed_entries_event" ON "feed_entries"("delivery_id", "sequence");

-- AddForeignKey
ALTER TABLE "delivery_events" ADD CONSTRAINT "delivery_events_delivery_id_fkey" FOREIGN KEY ("delivery_id") REFERENCES "deliveries"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "feed_entries" ADD CONSTRAINT "feed_entries_delivery_id_sequence_fkey" FOREIGN KEY ("delivery_id", "sequence") REFERENCES "delivery_events"("delivery_id", "sequence") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- From here on by hand: what the database itself holds true of the event log, the read model and the feed.

INSERT INTO feed_head (id, position) VALUES (1, 0);
ALTER TABLE feed_head ADD CONSTRAINT feed_head_is_one_row CHECK (id = 1);

-- An account's external ids are looked up; ingestion is what keeps them unique.
CREATE INDEX deliveries_external_id ON deliveries (account_id, livemode, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX deliveries_of_drone ON deliveries (drone_id, id DESC) WHERE drone_id IS NOT NULL;
-- Few deliveries are open at a time, so every list of open ones starts from these.
CREATE INDEX deliveries_open ON deliveries (id DESC) WHERE NOT complete;
CREATE INDEX deliveries_with_intervention ON deliveries (id DESC) WHERE open_interventions > 0;
-- A step writes once, whoever repeats it.
CREATE UNIQUE INDEX delivery_events_step ON delivery_events (delivery_id, step_key) WHERE step_key IS NOT NULL;
ALTER TABLE delivery_events ADD CONSTRAINT delivery_events_step_has_size CHECK ((step_key IS NULL) = (step_size IS NULL));

-- A delivery's row is rewritten with every event: room on its page keeps the update off the indexes.
ALTER TABLE deliveries SET (fillfactor = 70);

-- The state machine of services/delivery/contract/status.ts; a test compares the two for every pair.
CREATE FUNCTION status_may_follow(before text, after text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT before = after OR after = ANY (
    CASE before
      WHEN 'created' THEN ARRAY['scheduled', 'awaiting_drone', 'confirmed', 'cancelled', 'failed']
      WHEN 'scheduled' THEN ARRAY['awaiting_drone', 'confirmed', 'cancelled', 'failed']
      WHEN 'awaiting_drone' THEN ARRAY['confirmed', 'scheduled', 'cancelled', 'failed']
      WHEN 'confirmed' THEN ARRAY['enroute_to_pickup', 'awaiting_drone', 'scheduled', 'cancelled', 'failed']
      WHEN 'enroute_to_pickup' THEN ARRAY['arrived_at_pickup', 'awaiting_drone', 'cancelled', 'failed']
      WHEN 'arrived_at_pickup' THEN ARRAY['picked_up', 'awaiting_drone', 'cancelled', 'failed']
      WHEN 'picked_up' THEN ARRAY['enroute_to_dropoff', 'enroute_to_return', 'failed']
      WHEN 'enroute_to_dropoff' THEN ARRAY['arrived_at_dropoff', 'enroute_to_return', 'failed']
      WHEN 'arrived_at_dropoff' THEN ARRAY['delivered', 'enroute_to_return', 'failed']
      WHEN 'enroute_to_return' THEN ARRAY['arrived_at_return', 'failed']
      WHEN 'arrived_at_return' THEN ARRAY['returned', 'failed']
      ELSE ARRAY[]::text[]
    END
  )
$$;

-- An event follows the one before it, in number and in status.
CREATE FUNCTION refuse_event_out_of_line() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE before text;
BEGIN
  IF NEW.sequence = 1 THEN
    IF NEW.status <> 'created' THEN
      RAISE EXCEPTION 'illegal transition: the first event of % has status %', NEW.delivery_id, NEW.status
        USING ERRCODE = 'check_violation', CONSTRAINT = 'delivery_status_transition';
    END IF;
    RETURN NEW;
  END IF;
  SELECT status INTO before FROM delivery_events
  WHERE delivery_id = NEW.delivery_id AND sequence = NEW.sequence - 1;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'event % of % has none before it', NEW.sequence, NEW.delivery_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'delivery_event_sequence';
  END IF;
  IF NOT status_may_follow(before, NEW.status) THEN
    RAISE EXCEPTION 'illegal transition of % from % to %', NEW.delivery_id, before, NEW.status
      USING ERRCODE = 'check_violation', CONSTRAINT = 'delivery_status_transition';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER event_in_line BEFORE INSERT ON delivery_events
  FOR EACH ROW EXECUTE FUNCTION refuse_event_out_of_line();

-- What happened stays: an event and its place in the feed are never altered or deleted.
CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of % is refused: what happened stays', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_TABLE_NAME || '_append_only';
END $$;
CREATE TRIGGER event_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON delivery_events
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
CREATE TRIGGER place_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON feed_entries
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
REVOKE UPDATE, DELETE ON delivery_events, feed_entries FROM delivery_app;

-- The read model says what the last event says. Checked at the end of the statement that writes both.
CREATE FUNCTION refuse_state_without_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM delivery_events
    WHERE delivery_id = NEW.id AND sequence = NEW.sequence AND status = NEW.status
  ) OR EXISTS (SELECT FROM delivery_events WHERE delivery_id = NEW.id AND sequence = NEW.sequence + 1) THEN
    RAISE EXCEPTION 'delivery % cannot be % at % without that being its last event', NEW.id, NEW.status, NEW.sequence
      USING ERRCODE = 'check_violation', CONSTRAINT = 'delivery_follows_events';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER state_follows_events AFTER INSERT OR UPDATE OF status, sequence, state ON deliveries
  FOR EACH ROW EXECUTE FUNCTION refuse_state_without_event();

-- No event misses the feed, whoever writes it.
CREATE FUNCTION await_place_in_feed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO unplaced_events (delivery_id, sequence)
  SELECT delivery_id, sequence FROM written ORDER BY delivery_id, sequence;
  RETURN NULL;
END $$;
CREATE TRIGGER event_awaits_place AFTER INSERT ON delivery_events
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION await_place_in_feed();

-- Gives committed events their places. The lock on the head makes its callers take turns, and each sees what the one
-- before committed; so a place, once it can be read, has no lower one that is still to come. Answers the last place given.
CREATE FUNCTION place_events(at_most integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  head bigint;
  placed integer;
BEGIN
  IF NOT EXISTS (SELECT FROM unplaced_events) THEN
    RETURN (SELECT position FROM feed_head);
  END IF;
  SELECT position INTO STRICT head FROM feed_head FOR UPDATE;
  WITH taken AS (
    DELETE FROM unplaced_events
    WHERE ticket IN (SELECT ticket FROM unplaced_events ORDER BY ticket LIMIT at_most)
    RETURNING ticket, delivery_id, sequence
  )
  INSERT INTO feed_entries (position, delivery_id, sequence)
  SELECT head + row_number() OVER (ORDER BY ticket), delivery_id, sequence FROM taken;
  GET DIAGNOSTICS placed = ROW_COUNT;
  IF placed > 0 THEN UPDATE feed_head SET position = head + placed; END IF;
  RETURN head + placed;
END $$;
