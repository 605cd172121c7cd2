/**
 * The people who settle what only a person can, by the operators' API: each answer with a key of its own, repeated until it is answered.
 * Now and then two of them answer at once.
 */
import { everyItem } from '../../local/service-clients.ts';
import type { ListedIntervention } from '../../services/delivery/contract/index.ts';
import type { DeliveryId } from '../../shared/ids.ts';
import type { Order } from '../checker/index.ts';
import type { PublicApi } from '../e2e/traffic.ts';
import { type Answer, answerOf, WHY } from './asks.ts';
import type { Careful } from './careful.ts';
import type { PlannedRequest } from './plan.ts';

/** A delivery that somebody may be asked about. */
export interface Known {
  planned: PlannedRequest;
  orders: Order[];
}

export interface DeskOptions {
  operator: Pick<PublicApi, 'listInterventions' | 'resolveIntervention' | 'retryCompensation'>;
  careful: Careful;
  /** Undefined: nobody here has heard of it yet. */
  known: (deliveryId: DeliveryId) => Known | undefined;
  /** Its drone was fetched with the package in it. */
  hasFetched: (deliveryId: DeliveryId) => boolean;
  onSurprise: (what: string) => void;
}

export class Desk {
  readonly #options: DeskOptions;
  /** By intervention. */
  readonly #answering = new Map<string, Promise<void>>();
  /** How often each was answered, those that came up anew included. */
  readonly #given = new Map<string, number>();
  #settled = 0;

  constructor(options: DeskOptions) {
    this.#options = options;
  }

  /** How many answers were accepted. */
  get settled(): number {
    return this.#settled;
  }

  /** Begins to answer what is open and can be answered by now. */
  async look(): Promise<void> {
    const { operator, known } = this.#options;
    const open = await everyItem((page) => operator.listInterventions({ query: { ...page, open: true } }));
    for (const intervention of open) {
      const { id, delivery_id } = intervention;
      const about = known(delivery_id);
      if (about === undefined || this.#answering.has(id)) continue;
      const answers = this.#answersTo(intervention, about.planned);
      if (answers.length === 0) continue;
      const answering = this.#answer(intervention, about, answers).finally(() => this.#answering.delete(id));
      this.#answering.set(id, answering);
    }
  }

  /** Every answer that was given has been answered. */
  async answered(): Promise<void> {
    await Promise.all(this.#answering.values());
  }

  /** What is answered now, by one or by two at once; nothing: it settles itself, or more must be known. */
  #answersTo({ kind, answers, delivery_id }: ListedIntervention, planned: PlannedRequest): string[] {
    const offered = answers.map(({ answer }) => answer);
    if (kind.startsWith('compensation:') || kind === 'unrecorded') {
      return offered.includes('retry') ? ['retry'] : [];
    }
    const isEnd = (answer: string) => ['lost', 'delivered', 'returned'].includes(answer);
    const isFetched = this.#options.hasFetched(delivery_id);
    switch (kind) {
      case 'cancel_requested':
      case 'carrier_failed':
      case 'drone_refused':
        break;
      case 'drone_down':
        // Nobody knows what becomes of it before it has set its package down, or somebody has been there.
        if (!offered.includes('another_drone') && !isFetched) return [];
        break;
      default:
        // Late, and perhaps it only flies in silence.
        if (!isFetched) return [];
    }
    const usual = kind === 'cancel_requested' ? 'carry_on' : 'lost';
    const meant = planned.answer !== undefined && offered.includes(planned.answer) ? planned.answer : usual;
    if (!offered.includes(meant)) return offered.filter(isEnd).slice(0, 1);
    const other = offered.find((answer) => answer !== meant && answer !== 'wait');
    return planned.isAnsweredTwice && other !== undefined ? [meant, other] : [meant];
  }

  async #answer(
    intervention: ListedIntervention,
    { orders }: Known,
    answers: readonly string[],
  ): Promise<void> {
    await Promise.all(
      answers.map(async (given) => {
        const order: Order = { kind: 'answer', answer: 'unknown', intervention: intervention.id, given };
        // Before there is an answer, so that what nobody hears of is known to have been given.
        orders.push(order);
        try {
          Object.assign(order, await this.#give(intervention, given));
          if (order.answer === 'done') this.#settled += 1;
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error);
          this.#options.onSurprise(`${given} was not taken as an answer to ${intervention.id}: ${why}`);
        }
      }),
    );
  }

  #give({ id, kind }: ListedIntervention, given: string): Promise<Answer> {
    const { operator, careful } = this.#options;
    const before = this.#given.get(id) ?? 0;
    this.#given.set(id, before + 1);
    const options = { idempotencyKey: `${id}-${before}` };
    const params = { intervention_id: id };
    const isRetry = kind.startsWith('compensation:') && given === 'retry';
    return answerOf(
      careful,
      () =>
        isRetry
          ? operator.retryCompensation({ params, body: { why: WHY } }, options)
          : operator.resolveIntervention({ params, body: { answer: given, why: WHY } }, options),
      () => ({ answer: 'done' }),
    );
  }
}
