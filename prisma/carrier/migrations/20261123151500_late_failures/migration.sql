-- AlterTable
ALTER TABLE "simulation" ADD COLUMN     "fail_next_after_pickup" INTEGER NOT NULL DEFAULT 0;
