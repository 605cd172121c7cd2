-- CreateTable
CREATE TABLE "delivery_requests" (
    "delivery_id" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "livemode" BOOLEAN NOT NULL,
    "idempotency_key" TEXT,
    "fingerprint" TEXT NOT NULL,
    "external_id" TEXT,
    "expedited" BOOLEAN NOT NULL,
    "accepted_at" TIMESTAMPTZ(3) NOT NULL,
    "received_at" TIMESTAMPTZ(3) NOT NULL,
    "document" JSON NOT NULL,
    "state" TEXT NOT NULL,
    "starting_since" TIMESTAMPTZ(3),
    "start_due_at" TIMESTAMPTZ(3),
    "start_attempts" INTEGER NOT NULL DEFAULT 0,
    "projected" INTEGER NOT NULL DEFAULT 0,
    "project_due_at" TIMESTAMPTZ(3),
    "project_attempts" INTEGER NOT NULL DEFAULT 0,
    "cancellation" JSONB,

    CONSTRAINT "delivery_requests_pkey" PRIMARY KEY ("delivery_id")
);

-- CreateTable
CREATE TABLE "cancel_intents" (
    "delivery_id" TEXT NOT NULL,
    "account_id" TEXT NOT NULL,
    "livemode" BOOLEAN NOT NULL,
    "command" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "answer" JSONB,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "send_due_at" TIMESTAMPTZ(3),

    CONSTRAINT "cancel_intents_pkey" PRIMARY KEY ("delivery_id")
);

-- CreateIndex
CREATE UNIQUE INDEX "delivery_requests_idempotency_key" ON "delivery_requests"("account_id", "livemode", "idempotency_key");

-- From here on by hand: what Prisma's schema cannot say.

-- Unique per account; two requests without one do not collide.
CREATE UNIQUE INDEX delivery_requests_external_id ON delivery_requests (account_id, livemode, external_id)
  WHERE external_id IS NOT NULL;

-- The queues of the pumps. Each holds only the rows that wait, so it stays as small as the backlog.
CREATE INDEX delivery_requests_to_start ON delivery_requests (expedited DESC, received_at, delivery_id)
  WHERE state = 'accepted';
CREATE INDEX delivery_requests_starting ON delivery_requests (start_due_at) WHERE state = 'starting';
CREATE INDEX delivery_requests_to_project ON delivery_requests (project_due_at) WHERE project_due_at IS NOT NULL;
CREATE INDEX cancel_intents_to_send ON cancel_intents (send_due_at) WHERE send_due_at IS NOT NULL;

ALTER TABLE delivery_requests
  ADD CONSTRAINT delivery_requests_state CHECK (state IN ('accepted', 'starting', 'started', 'cancelled')),
  ADD CONSTRAINT delivery_requests_cancellation CHECK ((state = 'cancelled') = (cancellation IS NOT NULL)),
  ADD CONSTRAINT delivery_requests_starting_since CHECK (state <> 'starting' OR (starting_since IS NOT NULL AND start_due_at IS NOT NULL)),
  ADD CONSTRAINT delivery_requests_projected CHECK (projected BETWEEN 0 AND 2);
