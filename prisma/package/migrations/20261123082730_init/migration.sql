-- CreateTable
CREATE TABLE "registration" (
    "id" BIGSERIAL NOT NULL,
    "step_key" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "delivery_id" TEXT NOT NULL,
    "livemode" BOOLEAN,
    "state" TEXT NOT NULL,
    "void_key" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "voided_at" TIMESTAMPTZ(3),

    CONSTRAINT "registration_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "package" (
    "id" TEXT NOT NULL,
    "registration_id" BIGINT NOT NULL,
    "account_id" TEXT NOT NULL,
    "delivery_id" TEXT NOT NULL,
    "livemode" BOOLEAN NOT NULL,
    "position" INTEGER NOT NULL,
    "size" TEXT NOT NULL,
    "weight_kg" DOUBLE PRECISION NOT NULL,
    "tag" TEXT NOT NULL,
    "declared_value_amount" BIGINT,
    "declared_value_currency" TEXT,

    CONSTRAINT "package_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "registration_step_key" ON "registration"("step_key");

-- CreateIndex
CREATE INDEX "package_registration_id_idx" ON "package"("registration_id");

-- CreateIndex
CREATE INDEX "package_delivery_id_position_idx" ON "package"("delivery_id", "position");

-- CreateIndex
CREATE INDEX "package_account_id_tag_idx" ON "package"("account_id", "tag");

-- AddForeignKey
ALTER TABLE "package" ADD CONSTRAINT "package_registration_id_fkey" FOREIGN KEY ("registration_id") REFERENCES "registration"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- What Prisma's schema cannot say: written by hand from here on.

ALTER TABLE "registration"
  ADD CONSTRAINT "registration_state_known" CHECK ("state" IN ('registered', 'void', 'never_registered')),
  ADD CONSTRAINT "registration_mode_known" CHECK ("livemode" IS NOT NULL OR "state" = 'never_registered'),
  ADD CONSTRAINT "registration_voided_with_a_key"
    CHECK (("state" = 'registered') = ("void_key" IS NULL) AND ("state" = 'registered') = ("voided_at" IS NULL));

ALTER TABLE "package"
  ADD CONSTRAINT "package_size_known" CHECK ("size" IN ('small', 'medium', 'large')),
  ADD CONSTRAINT "package_weight_positive" CHECK ("weight_kg" > 0),
  ADD CONSTRAINT "package_declared_value_whole"
    CHECK (("declared_value_amount" IS NULL) = ("declared_value_currency" IS NULL) AND "declared_value_amount" >= 0);

-- What was registered stays as it was; only its registration is voided.
REVOKE UPDATE, DELETE ON "package" FROM "package_app";
REVOKE DELETE ON "registration" FROM "package_app";
