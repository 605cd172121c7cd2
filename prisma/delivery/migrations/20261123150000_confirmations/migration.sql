-- CreateTable
CREATE TABLE "confirmations" (
    "delivery_id" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "livemode" BOOLEAN NOT NULL,
    "kind" TEXT NOT NULL,
    "wrong_digests" TEXT[],
    "confirmed_at" TIMESTAMPTZ(3),
    "given_by" TEXT,
    "latitude" DOUBLE PRECISION,
    "longitude" DOUBLE PRECISION,
    "signed_by" TEXT,
    "content_type" TEXT,
    "image" BYTEA,
    "digest" TEXT,

    CONSTRAINT "confirmations_pkey" PRIMARY KEY ("delivery_id")
);

-- AddForeignKey
ALTER TABLE "confirmations" ADD CONSTRAINT "confirmations_delivery_id_fkey" FOREIGN KEY ("delivery_id") REFERENCES "deliveries"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- From here on by hand: what Prisma's schema cannot say.

-- Whoever writes it: no more than the tries there are, and never an image larger than a photo may be.
ALTER TABLE confirmations ADD CONSTRAINT confirmations_tries CHECK (cardinality(wrong_digests) <= 5);
ALTER TABLE confirmations ADD CONSTRAINT confirmations_image CHECK (octet_length(image) <= 700000);

-- A proof stays as it was given; what may go is what tells who a person is.
CREATE FUNCTION refuse_other_proof() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.confirmed_at IS DISTINCT FROM OLD.confirmed_at OR NEW.digest IS DISTINCT FROM OLD.digest
    OR NEW.given_by IS DISTINCT FROM OLD.given_by OR NEW.wrong_digests IS DISTINCT FROM OLD.wrong_digests
    OR (NEW.image IS NOT NULL AND NEW.image IS DISTINCT FROM OLD.image) THEN
    RAISE EXCEPTION 'delivery % has its proof: what happened stays', NEW.delivery_id
      USING ERRCODE = 'restrict_violation', CONSTRAINT = 'confirmations_stay';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER proof_stays BEFORE UPDATE ON confirmations
  FOR EACH ROW WHEN (OLD.confirmed_at IS NOT NULL) EXECUTE FUNCTION refuse_other_proof();
