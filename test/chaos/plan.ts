/**
 * What a run of chaos does, made from the seed alone: which requests are posted, which act falls on whom and when. The same
 * seed is the same plan on every machine; how the system meets it is not the plan's to say.
 */
import { SERVICES } from '../../prisma/services.ts';
import type { DeliveryStatus } from '../../services/delivery/contract/index.ts';
import { Dice } from './dice.ts';
import { KIND_NAMES, KINDS, type RequestKind } from './kinds.ts';

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

/** At that time, wall milliseconds, once there is something to be struck. */
export type PlannedAct = Act & { atMs: number };

export interface PlannedRequest {
  /** From the beginning of the run, wall milliseconds. */
  atMs: number;
  number: number;
  kind: RequestKind;
  /** Which of the traffic's hops. */
  hop: number;
  /** Once its delivery is there, or further, it is asked for what its kind is named after. */
  askedIn?: DeliveryStatus;
  /** What people answer when they are asked about it, where that is offered. */
  answer?: string;
  /** Two people answer at once, each something else. */
  isAnsweredTwice: boolean;
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
/**
 * Acts come at least this far apart on average: with less, on few busy cores, the system would only ever start, and be struck when it
 * has next to nothing to do. So they may go on after the last request, while what was posted is carried out.
 */
const LEAST_ACT_GAP_MS = 2_700;

export function makePlan({ seed, deliveries, kills, ratePerS, links, spared = [] }: PlanOptions): Plan {
  const dice = new Dice(seed);
  const spanMs = (deliveries / ratePerS) * 1_000;
  const kinds = dealKinds(dice);
  const requests = Array.from({ length: deliveries }, (_, number): PlannedRequest => {
    const own = dice.for(`request/${number}`);
    // Somewhere within its own slice of time: bursts and lulls, and the rate as it was asked for.
    const atMs = Math.floor(((number + own.fraction()) / deliveries) * spanMs);
    const hop = own.between(0, 1_000_000);
    return { number, atMs, hop, ...kinds(), isAnsweredTwice: own.between(0, 1) === 1 };
  });
  return { seed, requests, acts: planActs(dice.for('acts'), { kills, spanMs, links, spared }) };
}

/**
 * Of every hundred requests as many of each kind as it says, and of each kind its stages and answers one after the other: chance
 * has the order, so that none is missing from a run of some hundreds.
 */
function dealKinds(dice: Dice): () => Pick<PlannedRequest, 'kind' | 'askedIn' | 'answer'> {
  const hundred = KIND_NAMES.flatMap((kind) => Array.from({ length: KINDS[kind].ofHundred }, () => kind));
  const kinds = dice.for('kinds').dealer(hundred);
  const dealersOf = <T>(what: string, of: (kind: RequestKind) => readonly T[] | undefined) =>
    new Map(
      KIND_NAMES.flatMap((kind) => {
        const items = of(kind);
        return items ? [[kind, dice.for(`${what}/${kind}`).dealer(items)] as const] : [];
      }),
    );
  const stages = dealersOf('stages', (kind) => KINDS[kind].askedIn);
  const answers = dealersOf('answers', (kind) => KINDS[kind].answers);
  return () => {
    const kind = kinds();
    const [askedIn, answer] = [stages.get(kind)?.(), answers.get(kind)?.()];
    return { kind, ...(askedIn && { askedIn }), ...(answer !== undefined && { answer }) };
  };
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
  const victims = dice.dealer(VICTIMS.filter((one) => !spared.includes(one)));
  const deal = dice.dealer(links);
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
  const kinds = KIND_NAMES.map((kind) => ({
    kind,
    count: requests.filter((one) => one.kind === kind).length,
  }))
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
