/** What must not be left when all deliveries have ended. A run counts only if nothing is. */
import { setTimeout as sleep } from 'node:timers/promises';
import { whatIsHeld } from '../../local/held.ts';
import type { ServiceClients } from '../../local/service-clients.ts';
import type { System } from '../system.ts';

const SETTLE_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 500;

/** Waits until nothing is held any more. @throws naming what is left */
export async function requireNothingHeld({ services }: System): Promise<void> {
  const giveUpAt = performance.now() + SETTLE_WITHIN_MS;
  for (;;) {
    const left = [...(await whatIsHeld(services)), ...(await whatIsOpen(services))];
    if (left.length === 0) return;
    if (performance.now() > giveUpAt)
      throw new Error(`The run does not count; left over: ${left.join(', ')}`);
    await sleep(LOOK_EVERY_MS);
  }
}

async function whatIsOpen({ delivery }: ServiceClients): Promise<string[]> {
  const [incomplete, stuck] = await Promise.all([
    delivery.listDeliveries({ query: { complete: false } }),
    delivery.listDeliveries({ query: { has_intervention: true } }),
  ]);
  return [
    ...incomplete.data.map(({ id, status }) => `delivery ${id} is ${status}, not complete`),
    ...stuck.data.map(({ id }) => `delivery ${id} has an intervention`),
  ];
}
