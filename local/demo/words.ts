/** How the demo says things: events, money, times and distances in a few words. */
import type { DeliveryEvent } from '../../services/delivery/contract/index.ts';
import type { Money } from '../../shared/schemas.ts';

/** 14:03:22 by the clock of the delivery. */
export function timeOfDay(timestamp: string | null): string {
  return timestamp === null ? '' : new Date(timestamp).toISOString().slice(11, 19);
}

export function money({ amount, currency }: Money): string {
  return `${(amount / 100).toFixed(2)} ${currency}`;
}

/** `+1:05` or `−0:20`. */
export function minutes(differenceMs: number): string {
  const seconds = Math.round(Math.abs(differenceMs) / 1000);
  return `${differenceMs < 0 ? '−' : '+'}${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

export function plain(word: string): string {
  return word.replaceAll('_', ' ');
}

/** One event in words: `arrived at pickup`, `compensated: release drone (released)`. */
export function eventInWords({ type, data }: DeliveryEvent): string {
  const what = plain(type.replace('delivery.', ''));
  const text = (name: string) => (typeof data[name] === 'string' ? plain(data[name]) : undefined);
  switch (type) {
    case 'delivery.compensated':
      return `  ↩ undone: ${text('step') ?? '?'} (${text('outcome') ?? '?'})`;
    case 'delivery.compensation_complete':
      return '  ↩ compensation complete';
    case 'delivery.drone_failed':
      return `drone failed: ${text('cause') ?? '?'}`;
    case 'delivery.failed':
    case 'delivery.awaiting_drone':
      return `${what}${text('detail') ? `: ${text('detail') ?? ''}` : ''}`;
    default:
      return what;
  }
}
