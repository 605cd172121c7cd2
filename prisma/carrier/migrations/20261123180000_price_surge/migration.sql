-- AlterTable
ALTER TABLE "simulation" ADD COLUMN     "price_percent" INTEGER NOT NULL DEFAULT 100;

ALTER TABLE "simulation" ADD CONSTRAINT "simulation_price_positive" CHECK ("price_percent" > 0);
