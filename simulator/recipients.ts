/**
 * The people at the dropoffs. Like the aircraft they are clients of the public API; the message with their link and PIN they
 * have "received", because they know the secret of which both are made. Where a drone waits for one of them, they take a
 * moment to come out and confirm; where the drone met a `recipient_absent`, nobody comes.
 */
import type { recipientOperations } from '../api/contract/recipients.ts';
import { recipientAccess } from '../services/delivery/contract/recipient.ts';
import type { GivenConfirmation } from '../services/delivery/contract/proof.ts';
import type { Mission } from '../services/drone/contract/index.ts';
import { messageOf, Problem } from '../shared/errors.ts';
import type { Client } from '../shared/http/client.ts';
import type { ReservationId } from '../shared/ids.ts';
import type { Logger } from '../shared/logger.ts';
import type { Aircraft } from './aircraft.ts';
import { simulatedSignature } from './pictures.ts';

export interface RecipientsOptions {
  endpoints: Pick<Client<typeof recipientOperations>, 'confirmDelivery'>;
  /** `RECIPIENT_SECRETS`, the first. */
  secret: string;
  logger: Logger;
}

/** From the arrival until somebody who was told that it is coming has come out, seconds of the clock. */
const COMES_OUT_AFTER_S = 5;
/** Between two tries of one recipient, seconds of the clock. */
const TRIES_AGAIN_AFTER_S = 3;

export class Recipients {
  readonly #options: RecipientsOptions;
  /** When whoever waits for a package does the next thing about it (clock, Unix milliseconds). */
  readonly #nextTryMs = new Map<ReservationId, number>();
  readonly #trying = new Set<ReservationId>();

  constructor(options: RecipientsOptions) {
    this.#options = options;
  }

  /** Lets those come out for whom a drone waits. Does not wait for them. */
  look(fleet: readonly { aircraft: Aircraft; nowMs: number }[]): void {
    const waiting = new Set<ReservationId>();
    for (const { aircraft, nowMs } of fleet) {
      const { activity, mission, since } = aircraft;
      if (activity.kind !== 'awaiting_confirmation' || activity.absent || mission === null) continue;
      const { reservation_id: id } = mission;
      waiting.add(id);
      const nextTryMs = this.#nextTryMs.get(id) ?? since.atMs + COMES_OUT_AFTER_S * 1000;
      if (nowMs < nextTryMs || this.#trying.has(id)) continue;
      this.#nextTryMs.set(id, nowMs + TRIES_AGAIN_AFTER_S * 1000);
      this.#trying.add(id);
      void this.#confirm(mission).finally(() => this.#trying.delete(id));
    }
    for (const id of this.#nextTryMs.keys()) if (!waiting.has(id)) this.#nextTryMs.delete(id);
  }

  async #confirm({ delivery_id, confirmation }: Mission): Promise<void> {
    const { endpoints, secret, logger } = this.#options;
    const { trackingToken, pin } = recipientAccess(secret, delivery_id);
    const given = givenFor(confirmation, pin, delivery_id);
    if (!given) return;
    try {
      const { outcome } = await endpoints.confirmDelivery({
        params: { tracking_token: trackingToken },
        body: given,
      });
      logger.info({ delivery_id, confirmation, outcome }, 'a recipient confirms');
    } catch (error) {
      // The drone may be there a moment before the api knows it.
      const reason = error instanceof Problem ? error.reason : undefined;
      logger.info(
        { delivery_id, confirmation, reason: reason ?? messageOf(error) },
        'a recipient tries again',
      );
    }
  }
}

/** Nobody who is simulated has a scanner: the tags stand on the packages, which are not. */
function givenFor(kind: Mission['confirmation'], pin: string, name: string): GivenConfirmation | undefined {
  if (kind === 'pin') return { pin };
  if (kind === 'signature') return { signature: { ...simulatedSignature(name), signed_by: 'A. Recipient' } };
  return undefined;
}
