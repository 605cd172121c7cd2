/**
 * What a run of chaos does, made from the seed alone: which requests are posted, which act falls on whom and when. The same
 * seed is the same plan on every machine; how the system meets it is not the plan's to say.
 */
import { createHash } from 'node:crypto';
import { SERVICES } from '../../prisma/services.ts';
import type { DeliveryStatus } from '../../services/delivery/contract/index.ts';

/** Processes that are killed and stopped. */
export const VICTIMS = ['worker', 'api', ...SERVICES, 'simulator', 'temporal', 'postgres'] as const;
export type Victim = (typeof VICTIMS)[number];

/** Who is connected to whom: each pair has a link of its own through the proxy. */
export type Link = `${string}>${string}`;

export type Act =
  /** `kill -9`; started again after `downMs`. */
  | { kind: 'kill'; victim: Victim; downMs: number }
  /** SIGSTOP, and SIGCONT after `forMs`. */
  | { kind: 'stop'; victim: Victim; forMs: number }
  /** Every connection of the link ends at once; new ones are let through, and `forMs` is 0, or refused for that long. */
  | { kind: 'cut'; link: Link; forMs: number }
  /** Connections stay and carry nothing for that long: answers are late, or lost when their caller gives up. */
  | { kind: 'stall'; link: Link; forMs: number };

export type PlannedAct = Act & { atMs: number };

/** What a request is to show. The checks do not depend on it: chaos may turn any of them into another ending. */
export const REQUEST_KINDS = {
  plain: 47,
  cancelled_at_once: 6,
  cancelled_in_flight: 6,
  heavy: 5,
  two_packages: 4,
  undeliverable_return: 4,
  undeliverable_leave: 3,
  drone_fails_before_pickup: 4,
  drone_fails_with_package: 2,
  link_lost: 3,
  sender_absent: 1,
  recipient_absent: 1,
  no_credit: 2,
  suspended: 1,
  /** Too big for every drone together, of an account that takes a carrier then. */
  carrier: 3,
  carrier_cancelled: 1,
  carrier_fails: 1,
  scheduled: 2,
  rescheduled: 3,
  dropoff_changed: 4,
  reassigned: 3,
  aborted: 3,
  /** Its workflow is terminated, as somebody can in the Temporal UI: the reconciler ends it. */
  terminated: 2,
} as const;
export type RequestKind = keyof typeof REQUEST_KINDS;

/** For kinds that ask for something while it is under way: as soon as its delivery is there, or further. */
const ASKED_IN = {
  rescheduled: ['scheduled'],
  dropoff_changed: ['confirmed', 'enroute_to_pickup', 'arrived_at_pickup', 'enroute_to_dropoff'],
  reassigned: ['confirmed', 'enroute_to_pickup', 'arrived_at_pickup'],
  aborted: ['confirmed', 'enroute_to_pickup', 'enroute_to_dropoff', 'arrived_at_dropoff'],
  terminated: ['confirmed', 'enroute_to_pickup', 'enroute_to_dropoff', 'arrived_at_dropoff'],
} as const satisfies Partial<Record<RequestKind, readonly DeliveryStatus[]>>;

export interface PlannedRequest {
  /** From the beginning of the run, wall milliseconds. */
  atMs: number;
  number: number;
  kind: RequestKind;
  /** Which of the traffic's hops. */
  hop: number;
  /** Once its delivery is there, or further, it is asked for what its kind is named after. */
  askedIn?: DeliveryStatus;
}

export interface PlanOptions {
  seed: string;
  deliveries: number;
  kills: number;
  /** Requests a second, on average. */
  ratePerS: number;
  /** Links that exist in this stack. */
  links: readonly Link[];
  /** Who is neither killed nor stopped. */
  spared?: readonly Victim[];
}

export interface Plan {
  seed: string;
  requests: PlannedRequest[];
  acts: PlannedAct[];
}

/** One stop, one cut and one stall for so many kills. */
const KILLS_FOR_ONE_OTHER = 8;
const DOWN_MS = [0, 2_500] as const;
const STOPPED_MS = [1_000, 6_000] as const;
const CUT_MS = [0, 4_000] as const;
const STALLED_MS = [500, 6_000] as const;
/** Kills come at least this far apart on average: with less, on few cores, the system would only ever start. */
const LEAST_ACT_GAP_MS = 1_800;

export function makePlan({ seed, deliveries, kills, ratePerS, links, spared = [] }: PlanOptions): Plan {
  const dice = new Dice(seed);
  const spanMs = (deliveries / ratePerS) * 1_000;
  const requests = Array.from({ length: deliveries }, (_, number): PlannedRequest => {
    const own = dice.for(`request/${number}`);
    // Somewhere within its own slice of time: bursts and lulls, and the rate as it was asked for.
    const atMs = Math.floor(((number + own.fraction()) / deliveries) * spanMs);
    const kind = own.weighted(REQUEST_KINDS);
    const hop = own.between(0, 1_000_000);
    const stages: readonly DeliveryStatus[] = kind in ASKED_IN ? ASKED_IN[kind as keyof typeof ASKED_IN] : [];
    const askedIn = stages[own.between(0, stages.length - 1)];
    return { number, atMs, kind, hop, ...(askedIn && { askedIn }) };
  });
  return { seed, requests, acts: planActs(dice.for('acts'), { kills, spanMs, links, spared }) };
}

function planActs(
  dice: Dice,
  {
    kills,
    spanMs,
    links,
    spared,
  }: { kills: number; spanMs: number; links: readonly Link[]; spared: readonly Victim[] },
): PlannedAct[] {
  const others = Math.ceil(kills / KILLS_FOR_ONE_OTHER);
  // Dealt from a full deck, again and again: with enough kills nobody is left out.
  const victims = dealer(
    dice,
    VICTIMS.filter((one) => !spared.includes(one)),
  );
  const deal = dealer(dice, links);
  const acts: Act[] = [
    ...Array.from({ length: kills }, (): Act => ({
      kind: 'kill',
      victim: victims(),
      downMs: dice.between(...DOWN_MS),
    })),
    ...Array.from({ length: others }, (): Act => ({
      kind: 'stop',
      victim: victims(),
      forMs: dice.between(...STOPPED_MS),
    })),
    ...(links.length === 0
      ? []
      : Array.from({ length: others * 2 }, (_, index): Act =>
          index % 2 === 0
            ? { kind: 'cut', link: deal(), forMs: Math.max(0, dice.between(-CUT_MS[1], CUT_MS[1])) }
            : { kind: 'stall', link: deal(), forMs: dice.between(...STALLED_MS) },
        )),
  ];
  const gapMs = Math.max(spanMs / (acts.length + 1), LEAST_ACT_GAP_MS);
  return dice.shuffled(acts).map((act, index) => ({
    ...act,
    atMs: Math.floor((index + 0.5 + dice.fraction()) * gapMs),
  }));
}

export function describeAct(act: Act): string {
  switch (act.kind) {
    case 'kill':
      return `kill ${act.victim}, down for ${act.downMs} ms`;
    case 'stop':
      return `stop ${act.victim} for ${act.forMs} ms`;
    case 'cut':
      return act.forMs === 0 ? `cut ${act.link}` : `cut ${act.link} for ${act.forMs} ms`;
    case 'stall':
      return `stall ${act.link} for ${act.forMs} ms`;
  }
}

/** For a person: one line for each act, and what is posted. */
export function describePlan({ seed, requests, acts }: Plan): string {
  const kinds = Object.keys(REQUEST_KINDS)
    .map((kind) => ({ kind, count: requests.filter((one) => one.kind === kind).length }))
    .filter(({ count }) => count > 0)
    .map(({ kind, count }) => `${count} ${kind}`);
  return [
    `seed ${seed}: ${requests.length} requests in ${seconds(requests.at(-1)?.atMs ?? 0)}: ${kinds.join(', ')}`,
    ...acts.map(
      (act, index) =>
        `  ${String(index + 1).padStart(3)}  ${seconds(act.atMs).padStart(8)}  ${describeAct(act)}`,
    ),
  ].join('\n');
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** Draws one after the other from a shuffled deck, which is shuffled again once it is used up. */
function dealer<T>(dice: Dice, items: readonly T[]): () => T {
  let deck: T[] = [];
  return () => {
    if (deck.length === 0) deck = dice.shuffled(items);
    const card = deck.pop();
    if (card === undefined) throw new Error('There is nothing to draw from');
    return card;
  };
}

/** Numbers that follow from a text alone; a stream of its own for each purpose, so that one does not shift the others. */
class Dice {
  readonly #text: string;
  #drawn = 0;

  constructor(text: string) {
    this.#text = text;
  }

  for(purpose: string): Dice {
    return new Dice(`${this.#text}/${purpose}`);
  }

  /** In [0, 1). */
  fraction(): number {
    this.#drawn += 1;
    return createHash('sha256').update(`${this.#text}#${this.#drawn}`).digest().readUIntBE(0, 6) / 2 ** 48;
  }

  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + Math.floor(this.fraction() * (most - least + 1));
  }

  weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const entries = Object.entries(weights) as [K, number][];
    let left = this.fraction() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) {
      left -= weight;
      if (left < 0) return name;
    }
    return (entries.at(-1) as [K, number])[0];
  }

  /** Fisher and Yates. */
  shuffled<T>(items: readonly T[]): T[] {
    const all = [...items];
    for (let last = all.length - 1; last > 0; last -= 1) {
      const other = this.between(0, last);
      [all[last], all[other]] = [all[other] as T, all[last] as T];
    }
    return all;
  }
}
