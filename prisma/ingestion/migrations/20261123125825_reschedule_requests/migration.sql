-- CreateTable
CREATE TABLE "reschedule_requests" (
    "delivery_id" TEXT NOT NULL,
    "request_key" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "livemode" BOOLEAN NOT NULL,
    "command" JSONB NOT NULL,
    "answer" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "reschedule_requests_pkey" PRIMARY KEY ("delivery_id","request_key")
);
