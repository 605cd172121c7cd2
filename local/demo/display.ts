/** What the demo shows while it flies: on a terminal a table that is redrawn, elsewhere a line for each event. */
import { createLogUpdate } from 'log-update';
import { type DeliveryEvent, isFinal } from '../../services/delivery/contract/index.ts';
import type { Play } from './play.ts';
import { eventInWords, plain, timeOfDay } from './words.ts';

export interface Display {
  /** A line that stays. */
  say(line: string): void;
  event(play: Play, event: DeliveryEvent): void;
  redraw(plays: readonly Play[]): void;
  /** Leaves what is on the screen. */
  done(): void;
}

/** Columns a table needs at least. */
const NARROW = 80;
const LAST_LINES = 8;

export function createDisplay(stream: NodeJS.WriteStream = process.stdout): Display {
  return stream.isTTY && stream.columns >= NARROW ? liveTable(stream) : eventLines(stream);
}

function eventLines(stream: NodeJS.WritableStream): Display {
  return {
    say: (line) => stream.write(`${line}\n`),
    event: (play, event) => stream.write(`${lineOf(play, event)}\n`),
    redraw: () => undefined,
    done: () => undefined,
  };
}

function liveTable(stream: NodeJS.WriteStream): Display {
  const update = createLogUpdate(stream);
  const last: string[] = [];
  const keep = (line: string) => {
    last.push(line);
    if (last.length > LAST_LINES) last.shift();
  };
  return {
    say: keep,
    event: (play, event) => keep(lineOf(play, event)),
    redraw: (plays) => {
      const lines = [...plays.map((play, index) => rowOf(play, index)), '', ...last];
      update(lines.map((line) => line.slice(0, stream.columns - 1)).join('\n'));
    },
    done: () => update.done(),
  };
}

function lineOf({ scenario, index }: Play, event: DeliveryEvent): string {
  return `${timeOfDay(event.occurred_at)}  ${String(index + 1).padStart(2)} ${scenario.name}: ${eventInWords(event)}`;
}

const MARKS = ['◜', '◝', '◞', '◟'] as const;
let turn = 0;

function rowOf({ scenario, followed, refusal, droneName }: Play, index: number): string {
  const delivery = followed?.delivery;
  const isOver = refusal !== undefined || (delivery !== undefined && isFinal(delivery.status));
  if (index === 0) turn += 1;
  const mark = isOver ? '●' : delivery ? (MARKS[(turn + index) % MARKS.length] ?? '·') : '·';
  const status = refusal ? `refused: ${refusal.slug}` : delivery ? plain(delivery.status) : 'to come';
  const eta = delivery?.eta.dropoff_at && !isOver ? `ETA ${timeOfDay(delivery.eta.dropoff_at)}` : '';
  const by = delivery?.fulfilment === 'carrier' ? 'carrier' : droneName();
  return [
    mark,
    String(index + 1).padStart(2),
    scenario.name.padEnd(33),
    status.padEnd(20),
    by.padEnd(11),
    eta.padEnd(12),
    delivery?.compensation === 'pending' ? '↩' : '',
  ].join(' ');
}
