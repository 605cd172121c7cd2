-- AlterTable
ALTER TABLE "quote" ADD COLUMN     "pickup_by" TIMESTAMPTZ(3),
ADD COLUMN     "pickup_from" TIMESTAMPTZ(3);
