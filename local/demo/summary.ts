/** The table at the end: what was expected of each delivery, and what became of it. */
import Table from 'cli-table3';
import { distanceM } from '../../shared/geodesy.ts';
import { deviations, type Play } from './play.ts';
import { kilometres, minutes, money, plain, timeOfDay } from './words.ts';

export function summaryTable(plays: readonly Play[]): string {
  const table = new Table({
    head: ['', 'delivery', 'expected', 'outcome', 'flown by', 'km', 'promised', 'real', 'charge', 'undone'],
    style: { head: ['bold'], compact: true },
  });
  for (const play of plays) table.push(rowOf(play));
  return table.toString();
}

function rowOf(play: Play): string[] {
  const { scenario, followed, refusal } = play;
  const { expected, request } = scenario;
  const ok = deviations(play).length === 0;
  const delivery = followed?.delivery;
  const wanted = [expected.outcome, 'reason' in expected ? expected.reason : expected.problem];
  const outcome = refusal
    ? ['refused', refusal.slug]
    : [delivery?.status ?? 'nothing', delivery?.failure_reason ?? delivery?.cancellation_reason];
  const { promised, real } = times(play);
  return [
    ok ? '✓' : '✗',
    `${delivery?.id ?? '–'}\n${scenario.name}`,
    words(wanted),
    words(outcome) + (delivery?.left_unattended ? '\nleft unattended' : ''),
    delivery?.fulfilment === 'carrier'
      ? 'carrier'
      : [play.droneName(), attempts(delivery?.attempt)].filter(Boolean).join('\n'),
    kilometres(distanceM(request.pickup.location, request.dropoff.location)),
    promised,
    real,
    delivery?.charge ? money(delivery.charge) : '–',
    undoneBy(play).join('\n'),
  ];
}

function attempts(count: number | undefined): string {
  return count !== undefined && count > 1 ? `${count} drones tried` : '';
}

function words(parts: (string | null | undefined)[]): string {
  return parts
    .filter((part) => part !== null && part !== undefined)
    .map(plain)
    .join('\n');
}

/** The arrival that was promised when it was first confirmed, and the real one. By the delivery's clock. */
function times({ followed, firstPromise }: Play): { promised: string; real: string } {
  const delivered = followed?.events.find(({ status }) => status === 'delivered');
  const real = delivered
    ? `${timeOfDay(delivered.occurred_at)}${firstPromise ? `\n${minutes(Date.parse(delivered.occurred_at) - Date.parse(firstPromise))}` : ''}`
    : '–';
  return { promised: firstPromise ? timeOfDay(firstPromise) : '–', real };
}

function undoneBy({ followed }: Play): string[] {
  return (followed?.events ?? [])
    .filter(({ type }) => type === 'delivery.compensated')
    .map(({ data }) => plain(String(data['step'])));
}
