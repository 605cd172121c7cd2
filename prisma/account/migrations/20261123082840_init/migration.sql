-- CreateTable
CREATE TABLE "account" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "livemode" BOOLEAN NOT NULL,
    "state" TEXT NOT NULL,
    "state_reason" TEXT,
    "state_changed_by" TEXT,
    "state_changed_at" TIMESTAMPTZ(3) NOT NULL,
    "currency" TEXT NOT NULL,
    "credit_limit" BIGINT NOT NULL,
    "authorized" BIGINT NOT NULL DEFAULT 0,
    "captured" BIGINT NOT NULL DEFAULT 0,
    "preferences" JSONB NOT NULL,
    "create_key" TEXT,
    "create_body_hash" TEXT,
    "replay_until" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "account_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "account_state_change" (
    "id" BIGSERIAL NOT NULL,
    "account_id" TEXT NOT NULL,
    "livemode" BOOLEAN NOT NULL,
    "from" TEXT,
    "to" TEXT NOT NULL,
    "reason" TEXT,
    "changed_by" TEXT,
    "changed_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "account_state_change_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_key" (
    "id" TEXT NOT NULL,
    "hash" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "account_id" TEXT,
    "drone_id" TEXT,
    "livemode" BOOLEAN NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "revoked_at" TIMESTAMPTZ(3),

    CONSTRAINT "api_key_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "credit_authorization" (
    "id" TEXT NOT NULL,
    "step_key" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "delivery_id" TEXT NOT NULL,
    "livemode" BOOLEAN NOT NULL,
    "state" TEXT NOT NULL,
    "amount" BIGINT NOT NULL,
    "currency" TEXT NOT NULL,
    "captured" BIGINT,
    "charge_reason" TEXT,
    "refusal_reason" TEXT,
    "credit_free" BIGINT,
    "end_key" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "ended_at" TIMESTAMPTZ(3),

    CONSTRAINT "credit_authorization_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "account_create_key" ON "account"("create_key");

-- CreateIndex
CREATE INDEX "account_state_change_account_id_id_idx" ON "account_state_change"("account_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "api_key_hash" ON "api_key"("hash");

-- CreateIndex
CREATE INDEX "api_key_account_id_idx" ON "api_key"("account_id");

-- CreateIndex
CREATE UNIQUE INDEX "credit_authorization_step_key" ON "credit_authorization"("step_key");

-- CreateIndex
CREATE INDEX "credit_authorization_account_id_id_idx" ON "credit_authorization"("account_id", "id");

-- CreateIndex
CREATE INDEX "credit_authorization_delivery_id_idx" ON "credit_authorization"("delivery_id");

-- AddForeignKey
ALTER TABLE "account_state_change" ADD CONSTRAINT "account_state_change_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "api_key" ADD CONSTRAINT "api_key_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- What Prisma's schema cannot say: written by hand from here on.

ALTER TABLE "account"
  ADD CONSTRAINT "account_state_known" CHECK ("state" IN ('active', 'suspended', 'closed')),
  ADD CONSTRAINT "account_credit_limit_not_negative" CHECK ("credit_limit" >= 0),
  ADD CONSTRAINT "account_authorized_not_negative" CHECK ("authorized" >= 0),
  ADD CONSTRAINT "account_captured_not_negative" CHECK ("captured" >= 0);

ALTER TABLE "api_key"
  ADD CONSTRAINT "api_key_role_known" CHECK ("role" IN ('business', 'operator', 'drone')),
  ADD CONSTRAINT "api_key_account_of_a_business" CHECK (("role" = 'business') = ("account_id" IS NOT NULL)),
  ADD CONSTRAINT "api_key_drone_of_a_drone" CHECK ("drone_id" IS NULL OR "role" = 'drone');

ALTER TABLE "credit_authorization"
  ADD CONSTRAINT "credit_authorization_state_known"
    CHECK ("state" IN ('authorized', 'captured', 'voided', 'refused', 'never_authorized')),
  ADD CONSTRAINT "credit_authorization_amount_not_negative" CHECK ("amount" >= 0),
  ADD CONSTRAINT "credit_authorization_captured_within_amount" CHECK (
    CASE WHEN "state" = 'captured' THEN "captured" IS NOT NULL AND "captured" BETWEEN 0 AND "amount" ELSE "captured" IS NULL END),
  ADD CONSTRAINT "credit_authorization_refused_with_a_reason" CHECK (("state" = 'refused') = ("refusal_reason" IS NOT NULL)),
  ADD CONSTRAINT "credit_authorization_ended_with_a_key"
    CHECK (("state" IN ('captured', 'voided', 'never_authorized')) = ("end_key" IS NOT NULL AND "ended_at" IS NOT NULL));

-- What is still authorized is looked for by operators and reconcilers; it is few among all that ever was.
CREATE INDEX "credit_authorization_open" ON "credit_authorization" ("id") WHERE "state" = 'authorized';

-- The totals of an account are the sums of its authorizations, always: nothing but this trigger writes them.
CREATE FUNCTION "keep_account_totals"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  authorized_change bigint := CASE WHEN NEW.state = 'authorized' THEN NEW.amount ELSE 0 END;
  captured_change bigint := coalesce(NEW.captured, 0);
BEGIN
  IF TG_OP = 'UPDATE' THEN
    authorized_change := authorized_change - CASE WHEN OLD.state = 'authorized' THEN OLD.amount ELSE 0 END;
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

CREATE TRIGGER "keep_account_totals" AFTER INSERT OR UPDATE ON "credit_authorization"
  FOR EACH ROW EXECUTE FUNCTION "keep_account_totals"();

CREATE FUNCTION "refuse_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER "account_totals_are_kept_by_trigger" BEFORE UPDATE OF "authorized", "captured" ON "account"
  FOR EACH ROW
  WHEN (pg_trigger_depth() = 0 AND (OLD.authorized, OLD.captured) IS DISTINCT FROM (NEW.authorized, NEW.captured))
  EXECUTE FUNCTION "refuse_change"('the totals of an account follow its authorizations');

CREATE TRIGGER "account_starts_with_no_totals" BEFORE INSERT ON "account"
  FOR EACH ROW
  WHEN (NEW.authorized <> 0 OR NEW.captured <> 0)
  EXECUTE FUNCTION "refuse_change"('an account starts with nothing authorized or captured');

-- authorized -> captured or voided, once; nothing else about a charge ever changes.
CREATE TRIGGER "authorization_ends_once" BEFORE UPDATE ON "credit_authorization"
  FOR EACH ROW
  WHEN (OLD.state <> 'authorized' OR NEW.state NOT IN ('captured', 'voided')
    OR (OLD.id, OLD.step_key, OLD.account_id, OLD.delivery_id, OLD.livemode, OLD.amount, OLD.currency)
      IS DISTINCT FROM (NEW.id, NEW.step_key, NEW.account_id, NEW.delivery_id, NEW.livemode, NEW.amount, NEW.currency))
  EXECUTE FUNCTION "refuse_change"('an authorization is captured or voided once, and otherwise stays as it is');

CREATE TRIGGER "authorization_is_kept" BEFORE DELETE ON "credit_authorization"
  FOR EACH ROW EXECUTE FUNCTION "refuse_change"('authorizations are never deleted');

-- Whoever changes an account's state, by whatever way, it is kept with who, when and why.
CREATE FUNCTION "keep_state_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO account_state_change (account_id, livemode, "from", "to", reason, changed_by, changed_at)
  VALUES (NEW.id, NEW.livemode, CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END, NEW.state,
          NEW.state_reason, NEW.state_changed_by, NEW.state_changed_at);
  RETURN NULL;
END $$;

CREATE TRIGGER "keep_first_state" AFTER INSERT ON "account"
  FOR EACH ROW EXECUTE FUNCTION "keep_state_change"();
CREATE TRIGGER "keep_state_change" AFTER UPDATE OF "state" ON "account"
  FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION "keep_state_change"();

-- What was decided about an account stays known.
REVOKE UPDATE, DELETE ON "account_state_change" FROM "account_app";
REVOKE DELETE ON "account", "credit_authorization" FROM "account_app";
