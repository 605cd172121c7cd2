-- By hand: what Prisma's schema cannot say.

-- `lost`: the package was given up for lost in the carrier's hands. The booking is closed; nobody follows it any more.
ALTER TABLE "booking"
  DROP CONSTRAINT "booking_state_known",
  ADD CONSTRAINT "booking_state_known" CHECK ("state" IN (
    'requested', 'refused', 'never_booked',
    'booked', 'enroute_to_pickup', 'arrived_at_pickup', 'picked_up', 'enroute_to_dropoff', 'arrived_at_dropoff',
    'delivered', 'failed', 'cancelled', 'lost')),
  DROP CONSTRAINT "booking_ended_with_a_time",
  ADD CONSTRAINT "booking_ended_with_a_time" CHECK (
    ("state" IN ('refused', 'never_booked', 'delivered', 'failed', 'cancelled', 'lost')) = ("ended_at" IS NOT NULL));

DROP TRIGGER "booking_ends_once" ON "booking";
CREATE TRIGGER "booking_ends_once" BEFORE UPDATE OF "state" ON "booking"
  FOR EACH ROW
  WHEN (OLD.state <> NEW.state
    AND (OLD.state IN ('refused', 'never_booked', 'delivered', 'failed', 'cancelled', 'lost')
      OR (NEW.state = 'cancelled' AND OLD.state IN ('picked_up', 'enroute_to_dropoff', 'arrived_at_dropoff'))))
  EXECUTE FUNCTION "refuse_change"('a booking that has ended stays ended, and one that is picked up is not cancelled');
