/**
 * What is still held for deliveries, by a living workflow or not: drones, money, bookings, drones that are not home, requests
 * that were accepted and have not gone on. When all deliveries have ended, nothing may be. Which of it is orphaned, before
 * they have ended, is the audit's question: see audit/.
 */
import { openHoldings } from '../audit/holdings.ts';
import { everyItem, type ServiceClients } from './service-clients.ts';

/** One thing that is held, in words. */
export type Held = string;

const AT_HOME: ReadonlySet<string> = new Set(['idle', 'charging', 'maintenance']);

export async function whatIsHeld(services: ServiceClients): Promise<Held[]> {
  const { drone, ingestion } = services;
  const [holdings, drones, backlog] = await Promise.all([
    openHoldings(services),
    everyItem((page) => drone.listDrones({ query: page })),
    ingestion.backlog({}),
  ]);
  return [
    ...holdings.map((one) => `${one.kind.replaceAll('_', ' ')} ${one.id} for ${one.deliveryId}: ${one.what}`),
    ...drones
      .filter(({ state }) => !AT_HOME.has(state))
      .map(
        (one) =>
          `drone ${one.name} is not home: ${one.state}${one.state_reason ? `, ${one.state_reason}` : ''}`,
      ),
    ...(['unstarted', 'unprojected', 'unanswered_cancels'] as const)
      .filter((what) => backlog[what] > 0)
      .map((what) => `ingestion has ${backlog[what]} ${what.replace('_', ' ')}`),
  ];
}
