-- CreateTable
CREATE TABLE "credit_note" (
    "id" TEXT NOT NULL,
    "step_key" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "delivery_id" TEXT NOT NULL,
    "livemode" BOOLEAN NOT NULL,
    "amount" BIGINT NOT NULL,
    "currency" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "credit_note_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "credit_note_step_key" ON "credit_note"("step_key");

-- CreateIndex
CREATE UNIQUE INDEX "credit_note_delivery_id" ON "credit_note"("delivery_id");

-- CreateIndex
CREATE INDEX "credit_note_account_id_id_idx" ON "credit_note"("account_id", "id");

-- AddForeignKey
ALTER TABLE "credit_note" ADD CONSTRAINT "credit_note_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- What Prisma's schema cannot say: written by hand from here on.

ALTER TABLE "credit_note"
  ADD CONSTRAINT "credit_note_of_something" CHECK ("amount" > 0),
  ADD CONSTRAINT "credit_note_reason_known" CHECK ("reason" IN ('package_lost'));

-- What was promised to a customer stays as it was written.
CREATE TRIGGER "credit_note_is_kept" BEFORE UPDATE OR DELETE ON "credit_note"
  FOR EACH ROW EXECUTE FUNCTION "refuse_change"('a credit note is never changed or deleted');

REVOKE UPDATE, DELETE ON "credit_note" FROM "account_app";
