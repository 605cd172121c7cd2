-- AlterTable
ALTER TABLE "credit_authorization" ADD COLUMN     "expires_at" TIMESTAMPTZ(3),
ADD COLUMN     "lapsed" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "renew_key" TEXT;

-- From here on by hand: what Prisma's schema cannot say.

-- What runs out next is looked for again and again, and is few among all that ever was.
CREATE INDEX "credit_authorization_to_lapse" ON "credit_authorization" ("expires_at")
  WHERE "state" = 'authorized' AND NOT "lapsed";

-- An authorization that has lapsed holds no credit.
CREATE OR REPLACE FUNCTION "keep_account_totals"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  authorized_change bigint := CASE WHEN NEW.state = 'authorized' AND NOT NEW.lapsed THEN NEW.amount ELSE 0 END;
  captured_change bigint := coalesce(NEW.captured, 0);
BEGIN
  IF TG_OP = 'UPDATE' THEN
    authorized_change := authorized_change
      - CASE WHEN OLD.state = 'authorized' AND NOT OLD.lapsed THEN OLD.amount ELSE 0 END;
    captured_change := captured_change - coalesce(OLD.captured, 0);
  END IF;
  IF authorized_change = 0 AND captured_change = 0 THEN
    RETURN NULL;
  END IF;
  UPDATE account
     SET authorized = authorized + authorized_change, captured = captured + captured_change
   WHERE id = NEW.account_id;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'authorization % is of an unknown account', NEW.id USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END $$;

-- authorized -> renewed or lapsed as often as it takes, then captured or voided, once; nothing else about a charge ever changes.
DROP TRIGGER "authorization_ends_once" ON "credit_authorization";
CREATE TRIGGER "authorization_ends_once" BEFORE UPDATE ON "credit_authorization"
  FOR EACH ROW
  WHEN (OLD.state <> 'authorized' OR NEW.state NOT IN ('authorized', 'captured', 'voided')
    OR (OLD.id, OLD.step_key, OLD.account_id, OLD.delivery_id, OLD.livemode, OLD.amount, OLD.currency)
      IS DISTINCT FROM (NEW.id, NEW.step_key, NEW.account_id, NEW.delivery_id, NEW.livemode, NEW.amount, NEW.currency))
  EXECUTE FUNCTION "refuse_change"('an authorization is captured or voided once, and otherwise stays as it is');
