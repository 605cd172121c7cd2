/** Ingestion's own figures: how the starts go, and how long the queues are. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { PrismaClient } from '../../prisma/ingestion/generated/client.ts';
import type { WallClock } from '../../shared/clock.ts';
import { type Backlog, readBacklog } from './data/requests.ts';
import type { Acceptor } from './domain/acceptor.ts';
import type { StartOutcome } from './domain/starter.ts';

export interface IngestionMetrics {
  started: (outcome: StartOutcome) => void;
}

export function registerMetrics(
  registry: Registry,
  { database, acceptor, wall }: { database: PrismaClient; acceptor: Acceptor; wall: WallClock },
): IngestionMetrics {
  const starts = new Counter({
    name: 'ingestion_workflow_starts_total',
    help: 'Tries to start a workflow, by outcome',
    labelNames: ['outcome'],
    registers: [registry],
  });
  new Gauge({
    name: 'ingestion_accepts_waiting',
    help: 'Accepts that wait for a database statement',
    registers: [registry],
    collect() {
      this.set(acceptor.waiting);
    },
  });
  registerBacklog(registry, database, wall);
  return { started: (outcome) => starts.inc({ outcome }) };
}

function registerBacklog(registry: Registry, database: PrismaClient, wall: WallClock): void {
  let reading: Promise<Backlog> | undefined;
  // One query for all the figures of a scrape.
  const read = (): Promise<Backlog> => {
    reading ??= readBacklog(database).finally(() => (reading = undefined));
    return reading;
  };
  const gauge = (name: string, help: string, figure: (backlog: Backlog) => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        // Without the database the other metrics are wanted all the more: this one has no value then.
        this.set(await read().then(figure, () => Number.NaN));
      },
    });
  };
  gauge(
    'ingestion_unstarted',
    'Accepted requests whose workflow is not known to run yet',
    (backlog) => backlog.unstarted,
  );
  gauge(
    'ingestion_unprojected',
    'Accepted or cancelled requests that the delivery service does not have yet',
    (backlog) => backlog.unprojected,
  );
  gauge(
    'ingestion_unanswered_cancels',
    'Cancels that no workflow has answered yet',
    (backlog) => backlog.unansweredCancels,
  );
  gauge(
    'ingestion_oldest_unstarted_age_seconds',
    'Wall time since the oldest accept that is not started',
    ({ oldestUnstartedAt: oldest }) => (oldest === null ? 0 : (wall() - oldest.getTime()) / 1000),
  );
}
