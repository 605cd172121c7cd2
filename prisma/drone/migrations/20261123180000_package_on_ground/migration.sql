-- AlterTable
ALTER TABLE "reservations" ADD COLUMN     "return_latitude" DOUBLE PRECISION,
ADD COLUMN     "return_longitude" DOUBLE PRECISION;

-- AlterTable
ALTER TABLE "waiting_list" ADD COLUMN     "return_latitude" DOUBLE PRECISION,
ADD COLUMN     "return_longitude" DOUBLE PRECISION;

-- From here on by hand: what Prisma's schema cannot say.

ALTER TABLE "reservations"
  ADD CONSTRAINT "reservations_return_whole" CHECK (
    ("return_latitude" IS NULL) = ("return_longitude" IS NULL));
ALTER TABLE "waiting_list"
  ADD CONSTRAINT "waiting_list_return_whole" CHECK (
    ("return_latitude" IS NULL) = ("return_longitude" IS NULL));
