-- AlterTable
ALTER TABLE "reservations" ADD COLUMN     "confirmation" TEXT;
