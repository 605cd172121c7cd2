/** The table at the end: what was expected of each delivery, and what became of it. */
import Table from 'cli-table3';
import { distanceM } from '../../shared/geodesy.ts';
import { deviations, type Play } from './play.ts';
import { minutes, money, plain, timeOfDay } from './words.ts';

/** `colour`: for a terminal. */
export function summaryTable(plays: readonly Play[], { colour }: { colour: boolean }): string {
  const table = new Table({
    head: [
      '',
      'delivery',
      'expected',
      'outcome',
      'flown by',
      'km',
      'promised, real',
      'charge',
      'compensation',
    ],
    style: { head: colour ? ['bold'] : [], border: colour ? ['grey'] : [], 'padding-left': 0 },
  });
  for (const play of plays) table.push(rowOf(play));
  return table.toString();
}

function rowOf(play: Play): string[] {
  const { scenario, followed, refusal } = play;
  const { expected, request } = scenario;
  const delivery = followed?.delivery;
  const wanted = [expected.outcome, 'reason' in expected ? expected.reason : expected.problem];
  const outcome = refusal
    ? ['refused', refusal.slug]
    : [delivery?.status ?? 'nothing', delivery?.failure_reason ?? delivery?.cancellation_reason];
  if (delivery?.left_unattended) outcome.push('left unattended');
  return [
    deviations(play).length === 0 ? '✓' : '✗',
    [scenario.name, delivery?.id ?? 'never accepted'].join('\n'),
    words(wanted),
    words(outcome),
    delivery?.fulfilment === 'carrier' ? 'carrier' : words([play.droneName(), attempts(delivery?.attempt)]),
    (distanceM(request.pickup.location, request.dropoff.location) / 1000).toFixed(1),
    times(play),
    delivery?.charge ? money(delivery.charge) : '–',
    undoneBy(play).join('\n'),
  ];
}

function attempts(count: number | undefined): string | null {
  return count !== undefined && count > 1 ? `${count} tried` : null;
}

/** One below the other, in words. */
function words(parts: (string | null | undefined)[]): string {
  return parts
    .filter((part) => part !== null && part !== undefined && part !== '')
    .map((part) => plain(String(part)))
    .join('\n');
}

/** The arrival that was promised when it was first confirmed, the real one, and the difference. By the delivery's clock. */
function times({ followed, firstPromise }: Play): string {
  const delivered = followed?.events.find(({ status }) => status === 'delivered')?.occurred_at;
  if (firstPromise === null) return '–';
  if (delivered === undefined) return `${timeOfDay(firstPromise)}\n–`;
  const lateMs = Date.parse(delivered) - Date.parse(firstPromise);
  return `${timeOfDay(firstPromise)}\n${timeOfDay(delivered)} ${minutes(lateMs)}`;
}

function undoneBy({ followed }: Play): string[] {
  return (followed?.events ?? [])
    .filter(({ type }) => type === 'delivery.compensated')
    .map(({ data }) => plain(String(data['step'])));
}
