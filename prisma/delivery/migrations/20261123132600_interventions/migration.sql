-- CreateTable
CREATE TABLE "interventions" (
    "id" TEXT NOT NULL,
    "delivery_id" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "livemode" BOOLEAN NOT NULL,
    "kind" TEXT NOT NULL,
    "opened_at" TIMESTAMPTZ(3) NOT NULL,
    "resolved_at" TIMESTAMPTZ(3),
    "document" JSONB NOT NULL,

    CONSTRAINT "interventions_pkey" PRIMARY KEY ("delivery_id","id")
);

-- CreateIndex
CREATE INDEX "interventions_newest" ON "interventions"("opened_at" DESC, "id" DESC);

-- AddForeignKey
ALTER TABLE "interventions" ADD CONSTRAINT "interventions_delivery_id_fkey" FOREIGN KEY ("delivery_id") REFERENCES "deliveries"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- From here on by hand: what Prisma's schema cannot say.

-- Few are open at a time, and those are what is looked for.
CREATE INDEX interventions_open ON interventions (opened_at DESC, id DESC) WHERE resolved_at IS NULL;

-- The list of interventions says what the deliveries say, whoever writes them. One that comes up anew replaces its older self.
CREATE FUNCTION list_interventions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO interventions (id, delivery_id, account_id, livemode, kind, opened_at, resolved_at, document)
  SELECT one ->> 'id', NEW.id, NEW.account_id, NEW.livemode, one ->> 'kind', (one ->> 'opened_at')::timestamptz,
    (one ->> 'resolved_at')::timestamptz, one
  FROM jsonb_array_elements(NEW.state -> 'interventions') AS one
  ON CONFLICT (delivery_id, id) DO UPDATE SET kind = excluded.kind, opened_at = excluded.opened_at,
    resolved_at = excluded.resolved_at, document = excluded.document
  WHERE interventions.document IS DISTINCT FROM excluded.document;
  RETURN NULL;
END $$;
CREATE TRIGGER interventions_follow_deliveries AFTER UPDATE OF state ON deliveries
  FOR EACH ROW WHEN (OLD.state -> 'interventions' IS DISTINCT FROM NEW.state -> 'interventions')
  EXECUTE FUNCTION list_interventions();

-- Those that there were before.
INSERT INTO interventions (id, delivery_id, account_id, livemode, kind, opened_at, resolved_at, document)
SELECT one ->> 'id', d.id, d.account_id, d.livemode, one ->> 'kind', (one ->> 'opened_at')::timestamptz,
  (one ->> 'resolved_at')::timestamptz, one
FROM deliveries AS d, jsonb_array_elements(d.state -> 'interventions') AS one;
